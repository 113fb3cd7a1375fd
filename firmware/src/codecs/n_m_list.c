#include "n_m.h"

TMB_DEFINE_SINK_LIST(n_m);
