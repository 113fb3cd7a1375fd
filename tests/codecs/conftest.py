from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from decoder import Decoder, build


@pytest.fixture(scope="session")
def decoder_exe(tmp_path_factory):
    """The C decoders' driver with the address and undefined-behaviour sanitisers."""
    return build(tmp_path_factory.mktemp("decoders"))


@pytest.fixture(scope="module")
def decoder(decoder_exe):
    process = Decoder(decoder_exe)
    yield process
    process.close()


@pytest.fixture(scope="session")
def aligned_decoder(tmp_path_factory):
    """The decoders as cores without unaligned loads have them."""
    process = Decoder(build(tmp_path_factory.mktemp("aligned"), "-DTMB_UNALIGNED_LOADS=0"))
    yield process
    process.close()


@pytest.fixture(params=["unaligned", "aligned"])
def either(request, decoder, aligned_decoder):
    """The decoders in both forms."""
    return decoder if request.param == "unaligned" else aligned_decoder
