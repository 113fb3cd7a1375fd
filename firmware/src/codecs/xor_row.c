#include "instances.h"
#include "xor.h"

TMB_DEFINE_ROW(xor);
