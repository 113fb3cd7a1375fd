#include "unified.h"

TMB_DEFINE_SINK_ROW(unified);
