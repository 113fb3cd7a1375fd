#include "instances.h"
#include "sri.h"

TMB_DEFINE_ROW(sri);
