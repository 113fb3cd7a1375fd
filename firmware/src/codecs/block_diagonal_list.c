#include "block_diagonal.h"

TMB_DEFINE_SINK_LIST(block_diagonal);
