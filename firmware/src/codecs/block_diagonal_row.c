#include "block_diagonal.h"

TMB_DEFINE_SINK_ROW(block_diagonal);
