#include "rans.h"

const tmb_source_t tmb_rans_list = {tmb_rans_open, tmb_rans_next};
