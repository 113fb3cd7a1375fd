#include "thimble.h"

#include "tmb_compiler.h"

/* docs/image.md: the header's words, then the table, two words a record. A record's second word is of the
 * form of the header's last: in its upper 24 bits the offset where something ends. */
enum { MAGIC_VERSION, CRC, LENGTH, SIGNATURE, CONSTANTS, TABLE };
enum { RECORD_WORDS = 2, RECORD_SIGNED_BYTES = 5 };

#define MAGIC 0x424d54u /* "TMB" */
#define MAX_BIAS 0x40000000u

/* bit by bit: a table would cost more flash than many a model, and this runs once */
static TMB_NOINLINE uint32_t crc32(uint32_t crc, const void *data, size_t n) {
    const uint8_t *p = (const uint8_t *)data;
    crc = ~crc;
    while (n-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

/* sections lie one behind the other, up to the end, and hold the matrices that the code has */
static tmb_status_t check_table(const uint32_t *word, uint32_t crc) {
    const uint32_t *end = word + CONSTANTS;
    tmb_status_t status = TMB_OK;
    for (uint32_t left = word[CONSTANTS] & 255u; left > 0; left--) {
        const uint32_t start = ((*end >> 8) + 3u) & ~3u;
        crc = crc32(crc, end + 1, RECORD_SIGNED_BYTES);
        end += RECORD_WORDS;
        if (*end >> 8 < start) {
            status = TMB_ERR_SECTION;
        }
    }
    if (crc != word[SIGNATURE]) {
        return TMB_ERR_MODEL;
    }
    return *end >> 8 != word[LENGTH] ? TMB_ERR_SECTION : status;
}

/* no sum nor shift leaves what the kernels' arithmetic is defined for. First come the multipliers, then the
 * widest biases, last the shifts. */
static int has_range(const uint32_t *word, const tmb_contract_t *contract) {
    const uint32_t *constant = word + TABLE + RECORD_WORDS * (word[CONSTANTS] & 255u);
    const void *image = word;
    const int8_t *shift = (const int8_t *)image + (word[CONSTANTS] >> 8);
    for (uint32_t left = contract->multipliers; left > 0; left--) {
        if (*constant++ >> 31 != 0 || *--shift < -31 || *shift > 30) {
            return 0;
        }
    }
    for (uint32_t left = contract->biases; left > 0; left--) {
        if (*constant++ + MAX_BIAS > 2 * MAX_BIAS) {
            return 0;
        }
    }
    return 1;
}

tmb_status_t tmb_image_check(const uint8_t *image, size_t size, const tmb_contract_t *contract) {
    if (image == NULL || ((uintptr_t)image & (TMB_ALIGNMENT - 1u)) != 0) {
        return TMB_ERR_ARGUMENT;
    }
    if (size < TMB_IMAGE_HEADER_BYTES) {
        return TMB_ERR_LENGTH;
    }
    const void *start = image;
    const uint32_t *word = (const uint32_t *)start;
    if ((word[MAGIC_VERSION] & 0xffffffu) != MAGIC) {
        return TMB_ERR_MAGIC;
    }
    if (word[MAGIC_VERSION] >> 24 != TMB_IMAGE_VERSION) {
        return TMB_ERR_VERSION;
    }
    if (word[LENGTH] < TMB_IMAGE_HEADER_BYTES || word[LENGTH] > size) {
        return TMB_ERR_LENGTH;
    }
    if (crc32(0, word + LENGTH, word[LENGTH] - 4u * LENGTH) != word[CRC]) {
        return TMB_ERR_CRC;
    }
    /* the table may be read where the constants, which are behind it, end inside the image */
    if (word[CONSTANTS] != contract->constants) {
        return TMB_ERR_MODEL;
    }
    if (word[CONSTANTS] >> 8 > word[LENGTH]) {
        return TMB_ERR_SECTION;
    }
    const tmb_status_t status = check_table(word, contract->structure);
    return status == TMB_OK && !has_range(word, contract) ? TMB_ERR_CONSTANT : status;
}
