#include "n_m.h"

#include "../tmb_compiler.h"

#define GAPS_MAX 16u /* bits of a set's gaps */
#define HEADS_MAX 8u /* bits of an index */
#define MEMBERS_MAX 4u

/* size <= 16, n <= 4 */
static uint32_t choose(uint32_t size, uint32_t n) {
    uint32_t ways = 1;
    for (uint32_t k = 1; k <= n; k++) {
        ways = ways * (size - k + 1u) / k;
    }
    return ways;
}

/* lists all sets of n positions in the order of their positions */
static uint16_t *list_sets(uint16_t *set, uint32_t gap_bits, uint32_t n) {
    const uint32_t first_of_last = ((uint32_t)1 << gap_bits) - n;
    uint32_t position[MEMBERS_MAX + 1] = {0, 1, 2, 3, 0};
    for (;;) {
        uint32_t members = (uint32_t)1 << (n * gap_bits), k = n;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t before = i == 0 ? 0 : position[i - 1] + 1u;
            members |= (position[i] - before) << (i * gap_bits);
        }
        *set++ = (uint16_t)members;
        while (k != 0 && position[k - 1] == first_of_last + k - 1u) {
            k--;
        }
        if (k == 0) {
            return set;
        }
        for (position[k - 1]++; k < n; k++) {
            position[k] = position[k - 1] + 1u;
        }
    }
}

uint32_t tmb_n_m_within(uint32_t set, uint32_t gap_bits, uint32_t columns) {
    const uint32_t mask = ((uint32_t)1 << gap_bits) - 1u;
    uint32_t width = 0, column = 0;
    while (set >> width != TMB_N_M_NONE) {
        column += (set >> width & mask) + 1u;
        if (column > columns) {
            break;
        }
        width += gap_bits;
    }
    return (set & (((uint32_t)1 << width) - 1u)) | (uint32_t)1 << width;
}

TMB_COLD void tmb_n_m_open(tmb_n_m_t *it, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    const uint8_t *data = tmb_weights_data(w, image);
    const uint32_t bytes = tmb_weights_bytes(w, image);
    const uint32_t header = bytes < 2 ? 0 : (uint32_t)data[0] | (uint32_t)data[1] << 8;
    const uint32_t gap_bits = (header >> 5 & 7) + 1u, n = (header >> 8 & 7) + 1u;
    const uint32_t full = header >> 11 & 1, table = header >> 12 & 1, least = full ? n : 0u;
    uint32_t *const words = (uint32_t *)scratch;
    uint32_t at = 2, used = 0, width = 0, heads = full ? 1u : n + 1u, head_bits = 0;
    it->cols = w->cols;
    it->row_max = w->row_max;
    it->end = 0;
    if (bytes < 2 || n > (uint32_t)1 << gap_bits >> 1 || n * gap_bits > GAPS_MAX || gap_bits > 5 ||
        gap_bits + table > 5) {
        return;
    }
    it->values = tmb_whole_values(header & 31, data, bytes, &at, &width, words, w->scratch, &used);
    if (table) {
        heads = 0;
        for (uint32_t k = least; k <= n; k++) {
            heads += choose((uint32_t)1 << gap_bits, k);
        }
    }
    while ((uint32_t)1 << head_bits < heads) {
        head_bits++;
    }
    it->sets = 0;
    if (it->values == 0 || head_bits > HEADS_MAX) {
        return;
    }
    if (table) {
        void *room = words + used;
        uint16_t *set = (uint16_t *)room, *const end = set + ((uint32_t)1 << head_bits);
        if (w->scratch - used < (((uint32_t)1 << head_bits) + 1u) >> 1) {
            return;
        }
        it->sets = set;
        for (uint32_t k = least; k <= n; k++) {
            set = list_sets(set, gap_bits, k);
        }
        while (set != end) {
            *set++ = TMB_N_M_NONE;
        }
    }
    it->top = full && !table ? (uint32_t)1 << (n * gap_bits) : 0;
    head_bits = it->top ? n * gap_bits : head_bits;
    it->value_bits = (uint8_t)width;
    it->value_mask = ((uint32_t)1 << width) - 1u;
    it->gap_bits = (uint8_t)gap_bits;
    it->gap_mask = ((uint32_t)1 << gap_bits) - 1u;
    it->head_bits = (uint8_t)head_bits;
    it->n = (uint8_t)n;
    it->reach = (uint8_t)((table ? 1u : n) << gap_bits);
    tmb_bits_start(&it->f, data, at, bytes);
    it->end = w->cols;
}
