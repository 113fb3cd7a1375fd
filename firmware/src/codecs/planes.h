/* Bit planes, raw or through the XOR network, docs/formats.md.
 *
 * All of it lies in scratch: this state, 20 bytes per plane, the network as tables. It holds no pointers, so
 * that it has one size everywhere and needs no more than 4-byte alignment. */
#ifndef TMB_PLANES_H
#define TMB_PLANES_H

#include <stdint.h>

#define TMB_PLANES_MAX 12u

typedef struct {
    uint32_t current;   /* the 32 bits in use */
    uint32_t high, low; /* the register; the newest bit is bit 0 of low */
    uint32_t patch;     /* next place to be inverted */
    uint16_t rate;      /* bits taken per 4,096 places */
    uint8_t part;       /* of a bit, in 128ths, already due */
    uint8_t rice;       /* parameter of the gaps between patches; from bit 5 on 16ths of the register */
} tmb_plane_t;

typedef struct {
    uint32_t byte, bytes; /* of the stream, from the start of the data: next, end */
    uint32_t bits;        /* read but not used */
    uint32_t place;       /* first place behind those in use */
    uint32_t n;           /* places of each plane */
    uint8_t have;         /* bits in bits */
    uint8_t count;
    tmb_plane_t plane[];
} tmb_planes_t;

/* Reads the planes' header at data[at]. Returns the 32-bit words of scratch that they take, 0 where they do
 * not fit in the given ones or the header makes no sense; *at is then behind the header. */
uint32_t tmb_planes_open(tmb_planes_t *planes, uint32_t scratch_words, const uint8_t *data, uint32_t bytes,
                         uint32_t *at);

/* The stream, from byte at on, holds n places. */
static inline void tmb_planes_start(tmb_planes_t *planes, uint32_t at, uint32_t n) {
    planes->byte = at;
    planes->n = n;
}

/* Brings the next 32 places into use. */
void tmb_planes_advance(tmb_planes_t *planes, const uint8_t *data);

/* A number in groups of 7 bits at data[*at], moved behind it; 0 past the end. */
uint32_t tmb_leb128(const uint8_t *data, uint32_t bytes, uint32_t *at);

#endif
