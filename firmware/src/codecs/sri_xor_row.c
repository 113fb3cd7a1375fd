#include "instances.h"
#include "sri_xor.h"

TMB_DEFINE_ROW(sri_xor);
