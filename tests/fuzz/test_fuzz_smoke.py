"""A short run of every fuzz target: seeds are good, nothing is found, and what is broken would be."""

from __future__ import annotations

import attrs
import pytest
from fuzz_build import HERE, INSTRUMENTS, build, compile_all, link, missing, targets
from fuzz_run import fuzz
from fuzz_seeds import CORPUS, held
from hostile_core import Input

from thimble.codecs import CODECS

RUNS = 3000
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

BROKEN = """#include "thimble_kernels.h"
static uint32_t left;
static void open_it(void *state, const tmb_weights_t *w, const uint8_t *image, void *scratch) {
    (void)state, (void)scratch;
    left = 0;
    for (uint32_t i = 0; i < tmb_weights_bytes(w, image) + TOO_FAR; i++) {
        left += tmb_weights_data(w, image)[i] != 0;
    }
}
static uint32_t next(void *state, void *out) {
    (void)state, (void)out;
    for (volatile uint32_t forever = FOREVER; forever;) {
    }
    return TOO_MANY;
}
const tmb_source_t broken = {open_it, next}, *const fuzz_list = &broken, *const fuzz_row = &broken;
void (*const fuzz_fused)(const tmb_fully_connected_t *, const uint8_t *, int8_t *) = NULL;
"""


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    return build(targets(), tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("target", targets())
def test_a_short_run_finds_nothing(programs, target, tmp_path):
    result = fuzz(target, programs[target], CORPUS / targets()[target], RUNS, tmp_path)
    assert not result.findings, result.log[-3000:]
    assert result.runs >= RUNS
    assert result.edges > 20


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
def test_the_first_seeds_are_encodings(codec):
    """A seed is a descriptor and data as the encoder makes them today, or made them once."""
    for weights, encoded in held(codec):
        seeds = sorted((CORPUS / codec.c_name).glob("0-*"))
        assert {path.name for path in seeds} == {f"0-{form}" for form in codec.forms if form != "resident"}
        for path in seeds:
            given = Input.of(path.read_bytes(), codec)
            assert (given.rows, given.cols) == weights.shape
            assert given.form == path.name[2:]
            decoded = codec.decode(attrs.evolve(encoded, data=given.data))
            assert (decoded == weights).all()
        break


@pytest.mark.parametrize(
    "wrong, finding",
    [
        ({"TOO_FAR": 1}, "heap-buffer-overflow"),
        ({"TOO_MANY": 65535}, "at most row_max"),
        ({"FOREVER": 1}, "timeout"),
    ],
)
def test_a_broken_decoder_is_found(tmp_path, wrong, finding):
    defines = {"TOO_FAR": 0, "TOO_MANY": 0, "FOREVER": 0, **wrong}
    source = tmp_path / "broken.c"
    source.write_text("".join(f"#define {name} {value}\n" for name, value in defines.items()) + BROKEN)
    parts = compile_all([HERE / "fuzz_decoder.c", source], tmp_path, *INSTRUMENTS)
    result = fuzz("broken", link(parts, tmp_path / "broken"), CORPUS / "dense", 1000, tmp_path, timeout_s=1)
    assert len(result.findings) == 1
    assert finding in result.log
