#include "instances.h"
#include "rans.h"

TMB_DEFINE_FULLY_CONNECTED(rans);
