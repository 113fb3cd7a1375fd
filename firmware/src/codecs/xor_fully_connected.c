#include "instances.h"
#include "xor.h"

TMB_DEFINE_FULLY_CONNECTED(xor);
