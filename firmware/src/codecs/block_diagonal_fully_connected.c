#include "block_diagonal.h"

TMB_DEFINE_SINK_FULLY_CONNECTED(block_diagonal);
