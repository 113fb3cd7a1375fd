"""Rows of fields of one width, 0 to 8 bits: no gaps between fields, every row from a byte's start on."""

from __future__ import annotations

import numpy as np

from thimble.codecs.base import damaged

MAX_BITS = 8


def pack(fields: np.ndarray, bits: int) -> bytes:
    """The bytes of uint8 ``[rows, cols]``, each below ``2**bits``; rows are filled up with zeros."""
    rows, cols = fields.shape
    padded = np.zeros((rows, -(-cols // 8), 8), np.uint8)
    padded.reshape(rows, -1)[:, :cols] = fields
    words = np.zeros(padded.shape[:2], "<u8")  # eight fields are as many bytes as one has bits
    for k in range(8):
        words |= padded[:, :, k].astype(np.uint64) << np.uint64(k * bits)
    stored = words.view(np.uint8).reshape(*words.shape, 8)[:, :, :bits]
    return stored.reshape(rows, -1)[:, : row_bytes(cols, bits)].tobytes()


def unpack(data: bytes, bits: int, rows: int, cols: int, where: str) -> np.ndarray:
    """uint8 ``[rows, cols]`` out of exactly the bytes that they need; ModelError TMB1302 for others."""
    size = row_bytes(cols, bits)
    if len(data) != rows * size:
        raise damaged(where, f"{len(data)} bytes for {rows} x {cols} fields of {bits} bits")
    padded = np.zeros((rows, -(-cols // 8) * bits), np.uint8)
    padded[:, :size] = np.frombuffer(data, np.uint8).reshape(rows, size)
    octets = np.zeros((rows, -(-cols // 8), 8), np.uint8)
    octets[:, :, :bits] = padded.reshape(rows, -1, bits) if bits else 0
    words = octets.view("<u8")
    fields = np.empty(octets.shape, np.uint8)
    for k in range(8):
        fields[:, :, k] = (words[:, :, 0] >> np.uint64(k * bits)) & np.uint64((1 << bits) - 1)
    return fields.reshape(rows, -1)[:, :cols]


def row_bytes(cols: int, bits: int) -> int:
    """Bytes of a row."""
    return -(-cols * bits // 8)
