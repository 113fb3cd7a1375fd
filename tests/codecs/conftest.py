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
