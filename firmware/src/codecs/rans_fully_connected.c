#include "instances.h"
#include "rans.h"

TMB_DEFINE_FULLY_CONNECTED_OF_LISTS(rans);
