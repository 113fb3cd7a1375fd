#include "conv2d.h"

uint32_t tmb_conv2d_locate(const tmb_conv2d_t *op, tmb_nz_t *taps, uint32_t n) {
    const uint32_t channels = (uint32_t)op->in_c / op->groups;
    const uint32_t step = (uint32_t)op->dilation_w * op->in_c;
    const uint32_t row = (uint32_t)op->dilation_h * op->in_w * op->in_c;
    uint32_t first = 0; /* column of the current tap's first channel */
    uint32_t column = 0, row_start = 0, at = 0, kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t offset = taps[i].offset;
        const int16_t value = taps[i].value;
        if (value == 0 || offset >= op->w.cols) {
            continue;
        }
        if (offset < first) { /* channel by channel: from the first tap again */
            first = column = row_start = at = 0;
        }
        while (offset - first >= channels) {
            first += channels;
            at += step;
            if (++column == op->kernel_w) {
                column = 0;
                row_start += row;
                at = row_start;
            }
        }
        taps[kept].offset = (uint16_t)(at + offset - first);
        taps[kept++].value = value;
    }
    return kept;
}
