#include "conv2d.h"

uint32_t tmb_conv2d_locate(const tmb_conv2d_t *op, const tmb_frame_t *frame, tmb_nz_t *taps, uint32_t n) {
    const uint32_t channels = (uint32_t)op->in_c / op->groups;
    const uint32_t step = op->dilation_w * frame->pixel, row = op->dilation_h * frame->line;
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
