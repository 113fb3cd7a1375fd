#include "sri_flat.h"

const tmb_source_t tmb_sri_flat_list = {tmb_sri_flat_open, tmb_sri_flat_next};
