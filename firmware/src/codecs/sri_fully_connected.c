#include "instances.h"
#include "sri.h"

TMB_DEFINE_FULLY_CONNECTED(sri);
