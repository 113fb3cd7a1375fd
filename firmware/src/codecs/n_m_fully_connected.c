#include "n_m.h"

TMB_DEFINE_SINK_FULLY_CONNECTED(n_m);
