#include "unified.h"

TMB_DEFINE_SINK_LIST(unified);
