/* Sources that read int8 rows as they are; they own CODEC_SCRATCH bytes and check that nobody else writes
 * there. */
#ifndef ROW_SOURCES_H
#define ROW_SOURCES_H

#include "thimble_kernels.h"

enum { CODEC_SCRATCH = 16 };

extern const tmb_source_t rows_source; /* the row */
extern const tmb_source_t list_source; /* its non-zeros */
extern const tmb_source_t wild_source; /* its bytes taken for offsets and values, as from a damaged image */

/* the program's own: does not return */
void fail(const char *why);

#endif
