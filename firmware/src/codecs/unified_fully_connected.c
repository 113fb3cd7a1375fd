#include "unified.h"

TMB_DEFINE_SINK_FULLY_CONNECTED(unified);
