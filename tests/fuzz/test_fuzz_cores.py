"""Hostile bits in every decoder as the cores run it: all flips of one encoding's bits, and what is random."""

from __future__ import annotations

import pytest
from hostile_core import CORES, HostileCore, Input, hostile

from thimble.codecs import CODECS
from thimble.errors import VerifyError
from thimble.plan.image import lone

RANDOM = 300  # inputs per codec and core


@pytest.fixture(scope="module", params=CORES)
def core(request):
    return HostileCore(request.param)


@pytest.mark.parametrize("name", sorted(CODECS))
def test_no_bits_lead_a_decoder_out_of_its_buffers(core, name, monkeypatch):
    monkeypatch.setattr("thimble.emulate.core._TIMEOUT_US", 5_000_000)
    codec = CODECS[name]
    for raw in hostile(codec, RANDOM):
        core.decode(codec, Input.of(raw, codec))


def test_what_leaves_a_buffer_is_seen(core, monkeypatch):
    """Bytes that the table promises and the image lacks are read, and found missing."""
    codec = CODECS["dense"]
    given = Input("row", 4, 16, 16, 0, bytes(32))
    core.decode(codec, given)
    monkeypatch.setattr("hostile_core.lone", lambda data: lone(data + bytes(32))[:-32])
    with pytest.raises(VerifyError, match=r"TMB6003.*reads .* bytes at image"):
        core.decode(codec, given)
