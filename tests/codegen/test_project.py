"""Generated projects: the same bytes again, complete or absent, C without warnings, tests that can fail."""

import filecmp
import os
import re
import shutil
import subprocess

import attrs
import pytest

from quantized_networks import NETWORKS, lenet, zoo
from thimble.codegen.project import read_project, write_project
from thimble.codegen.spec import float_literal
from thimble.emulate import platformio
from thimble.errors import DataError
from thimble.plan.make import make_plan

EMULATED = ("cortex-m0", "cortex-m4", "rv32imac")
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-std=c99", "-O2", "-c"]


def project(tmp_path, graph, core="cortex-m4", name="p", **options):
    return write_project(make_plan(graph, core), tmp_path / name, emulated=EMULATED, **options)


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_model_gives_the_same_bytes(tmp_path):
    assert files(project(tmp_path, zoo(), name="a")) == files(project(tmp_path, zoo(), name="b"))


def test_no_path_or_date_is_written(tmp_path):
    for name, content in files(project(tmp_path, lenet())).items():
        if name.startswith(("src/", "include/", "test/", "emulated/main", "README", "platformio", "thimble")):
            assert str(tmp_path).encode() not in content
            assert not re.search(rb"20\d\d-\d\d-\d\d", content)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("network", NETWORKS)
def test_c_compiles_without_a_warning(tmp_path, network, compiler):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    at = project(tmp_path, NETWORKS[network]())
    include = [f"-I{at / p}" for p in ("include", "lib/thimble/include", "emulated/platform/rt")]
    for source in [*sorted((at / "src").glob("*.c")), at / "emulated" / "main.c"]:
        subprocess.run([compiler, *WARNINGS, *include, "-o", "/dev/null", str(source)], check=True)
    for source in sorted((at / "test").rglob("*.c")):
        subprocess.run([compiler, *WARNINGS, *include, "-o", "/dev/null", str(source)], check=True)


def test_golden_tests_pass_and_can_fail(tmp_path):
    at = project(tmp_path, lenet())
    done = platformio.pio(at, "test", "-e", "cortex-m4", "-e", "native")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 succeeded" in done.stdout
    golden = at / "test" / "test_golden" / "golden.h"
    text = golden.read_text()
    at_outputs = text.index("golden_outputs")
    broken = re.sub(r"-?\d+,", "99,", text[at_outputs:])
    golden.write_text(text[:at_outputs] + broken)
    done = platformio.pio(at, "test", "-e", "native")
    assert done.returncode != 0
    assert "differs from the reference" in done.stdout


def test_a_folder_of_someone_else_is_left_alone(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.tex").write_text("mine")
    with pytest.raises(DataError) as caught:
        project(tmp_path, lenet())
    assert caught.value.code == "TMB2030"
    assert files(tmp_path / "p") == {"thesis.tex": b"mine"}


def renamed(name):
    return attrs.evolve(lenet(), name=name)


def test_writing_again_keeps_what_is_the_users(tmp_path):
    at = project(tmp_path, renamed("old"))
    own = {
        "src/main.c": "int main(void) { return 42; }\n",
        "src/sensor.c": "",
        "lib/driver/driver.c": "",
        "notes/plan.txt": "",
        ".pio/build/firmware.elf": "",
    }
    for name, text in own.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(text)
    (at / "lib" / "thimble" / "stale.c").write_text("")
    assert project(tmp_path, renamed("new")) == at
    now = files(at)
    assert {name: now[name].decode() for name in own} == own
    assert set(now) - set(own) == set(files(project(tmp_path, renamed("new"), name="fresh"))) - set(own)


@pytest.mark.parametrize("when", range(4))
def test_an_interruption_leaves_the_old_project_as_it_was(tmp_path, monkeypatch, when):
    at = project(tmp_path, renamed("old"))
    for name in ("src/sensor.c", "notes/plan.txt"):
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).write_text("mine")
    before = files(at)
    rename, calls = os.rename, []

    def interrupt(*paths):
        calls.append(paths)
        if len(calls) == when + 1:
            raise KeyboardInterrupt
        rename(*paths)

    monkeypatch.setattr("os.rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        project(tmp_path, renamed("new"))
    assert files(at) == before
    assert list(tmp_path.iterdir()) == [at]


def test_the_folder_one_works_in_is_not_replaced(tmp_path, monkeypatch):
    at = project(tmp_path, lenet())
    monkeypatch.chdir(at / "src")
    with pytest.raises(DataError, match="TMB2030"):
        project(tmp_path, lenet())


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("thimble.codegen.project.render", fail)
    with pytest.raises(KeyboardInterrupt):
        project(tmp_path, lenet())
    assert list(tmp_path.iterdir()) == []


def test_a_project_keeps_its_model(tmp_path):
    graph, manifest = read_project(project(tmp_path, lenet()))
    assert manifest["core"] == "cortex-m4"
    assert [layer.name for layer in graph.layers] == [layer.name for layer in lenet().layers]


def test_no_project_is_said_so(tmp_path):
    with pytest.raises(DataError) as caught:
        read_project(tmp_path)
    assert caught.value.code == "TMB2031"


def test_the_runtime_is_copied_whole(tmp_path):
    from thimble.paths import resource

    at = project(tmp_path, lenet())
    diff = filecmp.dircmp(resource("firmware"), at / "lib" / "thimble")
    assert not diff.left_only
    assert not diff.diff_files


@pytest.mark.parametrize("value", [1.0, 0.1, 1 / 255, 3e-9, 123456.0])
def test_float_literals_read_back(value):
    import numpy as np

    assert np.float32(float_literal(value)[:-1]) == np.float32(value)
