#include "dense.h"
#include "instances.h"

TMB_DEFINE_LIST(dense);
