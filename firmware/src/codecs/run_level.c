#include "run_level.h"

#include "run_level_rounds.h"

#define ROUND TMB_RUN_LEVEL_ROUND
#define ROUND_BITS_LOG2 6 /* a round takes fewer bits than that */

/* the next entry; its level */
static uint32_t step(tmb_run_level_t *it) {
    const uint32_t word = tmb_run_level_window(it->data, it->end, it->at);
    const uint32_t entry = it->table[word >> it->raw_bits & it->table_mask].word;
    const uint32_t bits = entry & 255u;
    if (bits > it->end - it->at) {
        it->at = it->end;
        it->place = TMB_RUN_LEVEL_NOWHERE;
        return 0;
    }
    it->at += bits;
    uint32_t run = entry >> 8 & 255u;
    if (it->wide) {
        const uint32_t width = run & 15u, over = word >> (bits - width) & (((uint32_t)1 << width) - 1u);
        run = ((((run >> 4) << width) + over) << it->raw_bits) + 1u;
    }
    it->place += (int32_t)(run + (word & it->raw_mask));
    return entry >> 16;
}

static inline void hold_one(tmb_run_level_t *it, uint32_t level) {
    it->first = it->held + ROUND - 1;
    *it->first = level << 16;
}

/* one entry, in a later row or put at nz; the entry behind the row's last */
static TMB_NOINLINE tmb_nz_t *careful(tmb_run_level_t *it, tmb_nz_t *nz) {
    const uint32_t level = step(it);
    if (it->place >= it->cols) {
        hold_one(it, level);
        return nz;
    }
    tmb_run_level_put(nz, level << 16 | (uint32_t)it->place);
    return nz + 1;
}

/* column of the first entry that is held */
static inline int32_t first_place(const tmb_run_level_t *it) {
    return it->place - (int32_t)(-*it->first & 0xffffu);
}

/* takes the row's entries out of those held; the entry behind the last */
static inline tmb_nz_t *unhold(tmb_run_level_t *it, tmb_nz_t *nz, const tmb_nz_t *end) {
    const uint32_t *const behind = it->held + ROUND;
    if (it->place < it->cols && (const char *)end - (const char *)nz >= (ptrdiff_t)(ROUND * sizeof *nz)) {
        /* all of them, and what else there is room for: cheaper than a loop */
        const uint32_t place = (uint32_t)it->place, *const held = it->first;
        tmb_run_level_put(nz, held[0] + place);
        tmb_run_level_put(nz + 1, held[1] + place);
        tmb_run_level_put(nz + 2, held[2] + place);
        tmb_run_level_put(nz + 3, held[3] + place);
        it->first = it->held + ROUND;
        return nz + (behind - held);
    }
    for (; it->first != behind && nz != end && first_place(it) < it->cols; it->first++) {
        tmb_run_level_put(nz++, *it->first + (uint32_t)it->place);
    }
    return nz;
}

/* more of the row, up to end; the entry behind the last */
static inline tmb_nz_t *more(tmb_run_level_t *it, tmb_nz_t *nz, const tmb_nz_t *end) {
    const int32_t cols = it->cols;
    nz = unhold(it, nz, end);
    while (it->place < cols) {
        const uint32_t free = (uint32_t)((const char *)end - (const char *)nz) / (ROUND * sizeof *nz);
        const int32_t spare = (it->safe - (int32_t)it->at) >> ROUND_BITS_LOG2;
        const int32_t rounds = spare < (int32_t)free ? spare : (int32_t)free;
        if (rounds > 0) {
            nz = tmb_run_level_rounds(it, nz, (uint32_t)rounds);
        } else if (nz == end) {
            break;
        } else {
            nz = careful(it, nz);
        }
    }
    return nz;
}

uint32_t tmb_run_level_more(tmb_run_level_t *it, tmb_nz_t *list, uint32_t room) {
    return (uint32_t)(more(it, list, list + room) - list);
}

/* behind a row that fills the list: has it more, the stream is damaged, and nothing follows */
static TMB_NOINLINE void end_row(tmb_run_level_t *it) {
    if (it->place < it->cols) {
        hold_one(it, step(it));
    }
    if (it->first != it->held + ROUND && first_place(it) < it->cols) {
        it->first = it->held + ROUND;
        it->place = TMB_RUN_LEVEL_NOWHERE;
    }
}

uint32_t tmb_run_level_next(void *state, void *out) {
    tmb_run_level_t *it = (tmb_run_level_t *)state;
    tmb_nz_t *const list = (tmb_nz_t *)out;
    const tmb_nz_t *const end = list + it->row_max;
    it->place -= it->cols;
    const tmb_nz_t *const nz = more(it, list, end);
    if (nz == end) {
        end_row(it);
    }
    return (uint32_t)(nz - list);
}
