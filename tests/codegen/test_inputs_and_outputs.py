"""Functions of inputs, outputs and states: their names in C, and what they do on the host."""

import shutil
import subprocess

import attrs
import pytest

from quantized_networks import Builder, modern
from thimble.codegen.project import write_project
from thimble.graph.ops import NO_CLAMP, Add
from thimble.plan.make import make_plan

WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
STRICT = ["-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"]  # kernels are not called, nor linked

MAIN = """
#include <stdio.h>
#include <string.h>

#include "modern.h"

static int8_t arena[MODERN_ARENA_BYTES];

int main(void) {
    modern_t net = {NULL, arena};
    uint8_t bytes[MODERN_INPUT_X_LEN];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    modern_input_x_from_uint8(&net, bytes);
    printf("%d %d %d\\n", modern_input_x(&net)[0], modern_input_x(&net)[127], modern_input_x(&net)[143]);
    const float gate[MODERN_INPUT_GATE_LEN] = {0.0f, 1.0f, 0.5f, -1.0f};
    modern_quantize_input_gate(&net, gate);
    printf("%d %d %d\\n", modern_input_gate(&net)[0], modern_input_gate(&net)[1], modern_input_gate(&net)[3]);
    memset(arena, 77, sizeof arena);
    modern_reset(&net);
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof arena; i++) {
        zeros += arena[i] == -3;
    }
    printf("%zu %d\\n", zeros, MODERN_INPUT_X_UINT8_ZERO_POINT);
    return 0;
}
"""


def generated(tmp_path, graph):
    return write_project(make_plan(graph, "cortex-m4"), tmp_path / "p", emulated=("cortex-m4",))


def test_helpers_do_what_the_header_says(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    at = generated(tmp_path, modern())
    main, library = tmp_path / "main.c", at / "lib" / "thimble"
    main.write_text(MAIN)
    sources = [main, at / "src" / "modern.c", library / "src" / "tmb_quantize_s8.c"]
    includes = [f"-I{at / 'include'}", f"-I{library / 'include'}", f"-I{library / 'src'}"]
    program = tmp_path / "program"
    subprocess.run(["gcc", *WARNINGS, "-O1", *STRICT, *includes, *sources, "-o", program], check=True)
    lines = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split("\n")
    assert lines == ["-128 -1 15", "-128 127 -128", "152 0", ""]  # 144 + 4 + 4 bytes of state


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_any_names_of_tensors_give_valid_c(tmp_path, compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    b = Builder("int", (4,), seed=3)
    b.inputs += tuple(b.source(name, (4,)) for name in ("a/b:0", "A.B 0", "日本", "*/ x", "input"))
    total = b.inputs[0]
    for name in b.inputs[1:]:
        total = b.plain(Add(), total, name)
    y = b.fully_connected(total, 3, clamp=NO_CLAMP)
    graph = b.graph(y, total, y)
    at = generated(tmp_path, attrs.evolve(graph, name="9 */ net"))
    includes = [f"-I{at / 'include'}", f"-I{at / 'lib/thimble/include'}"]
    includes += [f"-I{at / 'emulated/platform/rt'}", f"-I{at / 'test/test_golden'}"]
    sources = [*sorted((at / "src").glob("*.c")), at / "emulated/main.c", at / "test/test_golden/test_main.c"]
    for source in sources:
        subprocess.run([compiler, *WARNINGS, *includes, "-fsyntax-only", source], check=True)
    header = next((at / "include").glob("*.h")).read_text()
    functions = [line for line in header.splitlines() if line.startswith(("int8_t *", "const int8_t *"))]
    assert len(set(functions)) == 6 + 3
