#include "n_m.h"

TMB_DEFINE_SINK_ROW(n_m);
