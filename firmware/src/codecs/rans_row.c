#include "instances.h"
#include "rans.h"

TMB_DEFINE_ROW_OF_LISTS(rans);
