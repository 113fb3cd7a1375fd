#include "instances.h"
#include "rans.h"

TMB_DEFINE_LIST(rans);
