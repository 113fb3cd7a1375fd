#include "run_level.h"

#include "run_level_rounds.h"

#define ROUND TMB_RUN_LEVEL_ROUND
#define ROUND_BITS_LOG2 6 /* a round takes fewer bits than that */

/* the next entry; its level */
static uint32_t step(tmb_run_level_t *it) {
    const uint32_t word = tmb_run_level_window(it->data, it->end, it->at);
    const uint32_t entry = it->table[word >> it->raw_bits & it->table_mask];
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

/* holds back those of a round's entries that lie in later rows; the entry behind the row's last */
static inline tmb_nz_t *hold(tmb_run_level_t *it, tmb_nz_t *nz) {
    const uint32_t beyond = (uint32_t)(it->place - it->cols);
    tmb_nz_t *held = it->held + ROUND;
    do {
        const uint16_t before = (uint16_t)((uint32_t)it->place - nz[-1].offset);
        if (before > beyond) {
            break;
        }
        nz--;
        held--;
        held->offset = before;
        held->value = nz->value;
    } while (held != it->held);
    it->pending = (uint32_t)(it->held + ROUND - held);
    return nz;
}

static inline void hold_one(tmb_run_level_t *it, uint32_t level) {
    it->held[ROUND - 1].offset = 0;
    it->held[ROUND - 1].value = (int16_t)level;
    it->pending = 1;
}

/* takes the row's entries out of those held; the entry behind the last */
static inline tmb_nz_t *unhold(tmb_run_level_t *it, tmb_nz_t *nz, const tmb_nz_t *end) {
    while (it->pending && nz != end) {
        const tmb_nz_t *held = &it->held[ROUND - it->pending];
        const int32_t place = it->place - held->offset;
        if (place >= it->cols) {
            break;
        }
        nz->offset = (uint16_t)place;
        nz->value = held->value;
        nz++;
        it->pending--;
    }
    return nz;
}

uint32_t tmb_run_level_more(tmb_run_level_t *it, tmb_nz_t *list, uint32_t room) {
    const tmb_nz_t *const end = list + room;
    tmb_nz_t *nz = unhold(it, list, end);
    while (it->place < it->cols && nz != end) {
        const int32_t spare = (it->safe - (int32_t)it->at) >> ROUND_BITS_LOG2;
        const int32_t free = (int32_t)((uint32_t)(end - nz) / ROUND);
        const int32_t rounds = spare < free ? spare : free;
        if (rounds > 0) {
            nz = tmb_run_level_rounds(it, nz, (uint32_t)rounds);
            if (it->place >= it->cols) {
                nz = hold(it, nz);
            }
            continue;
        }
        const uint32_t level = step(it);
        if (it->place >= it->cols) {
            hold_one(it, level);
            break;
        }
        nz->offset = (uint16_t)it->place;
        nz->value = (int16_t)level;
        nz++;
    }
    return (uint32_t)(nz - list);
}

uint32_t tmb_run_level_next(void *state, void *out) {
    tmb_run_level_t *it = (tmb_run_level_t *)state;
    it->place -= it->cols;
    const uint32_t n = tmb_run_level_more(it, (tmb_nz_t *)out, it->row_max);
    if (it->place < it->cols) {
        hold_one(it, step(it));
    }
    /* the row had more than there was room for: a damaged stream */
    if (it->pending && it->place - it->held[ROUND - it->pending].offset < it->cols) {
        it->pending = 0;
        it->place = TMB_RUN_LEVEL_NOWHERE;
    }
    return n;
}
