#include "instances.h"
#include "rans.h"

TMB_DEFINE_ROW(rans);
