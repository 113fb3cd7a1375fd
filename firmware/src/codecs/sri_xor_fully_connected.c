#include "instances.h"
#include "sri_xor.h"

TMB_DEFINE_FULLY_CONNECTED(sri_xor);
