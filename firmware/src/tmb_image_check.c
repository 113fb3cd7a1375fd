#include "thimble.h"

/* An image's header, little-endian: "TMB1", uint16 version, uint16 zero, uint32 length of the whole image,
 * uint32 CRC-32 (IEEE 802.3, reflected) of everything after the header. */
enum { VERSION = 4, RESERVED = 6, LENGTH = 8, CRC = 12 };

static uint32_t load_u16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t load_u32(const uint8_t *p) {
    return load_u16(p) | load_u16(p + 2) << 16;
}

/* bit by bit: a table would cost more flash than many a model, and this runs once */
static uint32_t crc32(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

tmb_status_t tmb_image_check(const uint8_t *image, size_t size, uint32_t length, uint32_t crc) {
    if (image == NULL || ((uintptr_t)image & (TMB_ALIGNMENT - 1u)) != 0) {
        return TMB_ERR_ARGUMENT;
    }
    if (size < TMB_IMAGE_HEADER_BYTES) {
        return TMB_ERR_LENGTH;
    }
    if (image[0] != 'T' || image[1] != 'M' || image[2] != 'B' || image[3] != '1') {
        return TMB_ERR_MAGIC;
    }
    if (load_u16(image + VERSION) != TMB_IMAGE_VERSION || load_u16(image + RESERVED) != 0) {
        return TMB_ERR_VERSION;
    }
    const uint32_t stored = load_u32(image + LENGTH);
    if (stored < TMB_IMAGE_HEADER_BYTES || stored > size) {
        return TMB_ERR_LENGTH;
    }
    if (crc32(image + TMB_IMAGE_HEADER_BYTES, stored - TMB_IMAGE_HEADER_BYTES) != load_u32(image + CRC)) {
        return TMB_ERR_CRC;
    }
    /* sound, but with other offsets than the generated descriptors have */
    if (stored != length || load_u32(image + CRC) != crc) {
        return TMB_ERR_MODEL;
    }
    return TMB_OK;
}
