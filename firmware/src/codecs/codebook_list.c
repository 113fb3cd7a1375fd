#include "codebook.h"
#include "instances.h"

TMB_DEFINE_PACKED_LIST(codebook);
