#include "instances.h"
#include "packed.h"

TMB_DEFINE_PACKED_LIST(packed);
