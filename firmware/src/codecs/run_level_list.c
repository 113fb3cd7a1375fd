#include "run_level.h"

const tmb_source_t tmb_run_level_list = {tmb_run_level_open, tmb_run_level_next};
