#include "instances.h"
#include "sri_xor.h"

TMB_DEFINE_LIST(sri_xor);
