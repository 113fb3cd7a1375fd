"""An image at other addresses, flashed by itself, and replaced by one of retrained weights."""

from __future__ import annotations

import subprocess

import attrs
import numpy as np
import pytest
from bound_model import CoreModel, HostModel, host_input
from image_nets import CODECS, mixed, update

from cli_calls import refused, thimble, tree
from thimble.errors import ModelError
from thimble.graph.graph import Graph
from thimble.graph.io import save
from thimble.plan.read_image import read_image
from thimble.plan.update import image_for
from thimble.quantize.interpreter import run


def reference(graph: Graph) -> np.ndarray:
    shape = graph.tensors[graph.inputs[0]].shape
    return run(graph, host_input(int(np.prod(shape))).reshape(1, *shape))[0].ravel()


@pytest.mark.parametrize("shift", [0, 4, 20, 4096, 12340])
def test_an_image_may_lie_at_any_multiple_of_four(host_model: HostModel, core_model: CoreModel, plans, shift):
    image = plans["cortex-m4"].image.data
    status, output = host_model.run([image], shift)
    assert status == 0
    np.testing.assert_array_equal(output[0], reference(mixed()))
    status, output = core_model.run(plans[core_model.project.core].image.data, shift)
    assert status == 0
    np.testing.assert_array_equal(output, reference(mixed()))


def test_code_runs_retrained_weights_as_it_is(host_model: HostModel, core_model: CoreModel, plans):
    new, images = update(plans)
    assert not np.array_equal(reference(new), reference(mixed()))
    status, output = host_model.run([images["cortex-m4"]])
    assert status == 0
    np.testing.assert_array_equal(output[0], reference(new))
    status, output = core_model.run(images[core_model.project.core])
    assert status == 0
    np.testing.assert_array_equal(output, reference(new))


def test_the_same_weights_give_the_same_image(plans):
    for plan in plans.values():
        assert image_for(plan, mixed()).data == plan.image.data


def evolve_layer(graph: Graph, name: str, **changes: object) -> Graph:
    layers = (attrs.evolve(x, **changes) if x.name == name else x for x in graph.layers)
    return attrs.evolve(graph, layers=tuple(layers))


def other_zero_point(graph: Graph) -> Graph:
    name = graph.outputs[0]
    tensor = graph.tensors[name]
    quant = attrs.evolve(tensor.quant, zero_point=tensor.quant.zero_point + 1)
    return attrs.evolve(graph, tensors={**graph.tensors, name: attrs.evolve(tensor, quant=quant)})


def denser(graph: Graph) -> Graph:
    first = graph.weighted[0]
    params = {**first.params, "weight": np.full_like(first.weight, 3)}
    return evolve_layer(graph, first.name, params=params)


def shallower(graph: Graph) -> Graph:
    """Without its last layer."""
    last = graph.layers[-1]
    return attrs.evolve(graph, layers=graph.layers[:-1], outputs=last.inputs)


def wider_bias(graph: Graph) -> Graph:
    first = graph.weighted[0]
    bias = first.params["bias"] + np.int32(1 << 20)
    return evolve_layer(graph, first.name, params={**first.params, "bias": bias})


@pytest.mark.parametrize(
    "change,code,says",
    [
        (shallower, "TMB1415", "layers with weights"),
        (other_zero_point, "TMB1415", "zero_point"),
        (wider_bias, "TMB1415", "bias_bytes=2"),
        (denser, "TMB1416", "row_max"),
    ],
)
def test_what_the_code_cannot_run_is_refused(plans, change, code, says):
    with pytest.raises(ModelError) as caught:
        image_for(plans["cortex-m4"], change(mixed()))
    assert caught.value.code == code
    assert says in caught.value.what
    assert caught.value.where
    assert caught.value.hint


def test_the_flat_file_is_what_is_linked(projects, plans):
    for core, folder in projects.items():
        assert (folder / "mixed.img").read_bytes() == plans[core].image.data
        assert "mixed.img" in (folder / "README.md").read_text()


def test_an_external_image_leaves_no_array_behind(host_model: HostModel, projects, tmp_path):
    names = subprocess.run(["nm", host_model.program], capture_output=True, text=True, check=True).stdout
    assert " mixed_init" in names
    assert "mixed_image" not in names
    folder = projects["cortex-m4"]
    source = tmp_path / "uses.c"
    source.write_text(
        '#include "mixed.h"\nconst uint8_t *p(void);\nconst uint8_t *p(void) { return mixed_image; }\n'
    )
    flags = [f"-I{folder / path}" for path in ("include", "lib/thimble/include")]
    for external, works in ((["-DMIXED_IMAGE_EXTERNAL"], False), ([], True)):
        done = subprocess.run(
            ["gcc", "-c", *external, *flags, source, "-o", tmp_path / "o"], capture_output=True
        )
        assert (done.returncode == 0) == works


def test_the_command_makes_an_image_for_a_project(host_model: HostModel, projects, plans, tmp_path):
    new, images = update(plans)
    save(new, tmp_path / "new.thimble")
    out = tmp_path / "new.img"
    made = thimble("image", tmp_path / "new.thimble", "--project", projects["cortex-m4"], "--out", out)
    assert made.exit_code == 0, made.document
    assert out.read_bytes() == images["cortex-m4"]
    status, output = host_model.run([out.read_bytes()])
    assert status == 0
    np.testing.assert_array_equal(output[0], reference(new))
    assert thimble("inspect", out).document == made.document
    assert made.document["image"]["bytes"] == len(out.read_bytes())
    assert [s["codec"] for s in made.document["sections"]] == list(CODECS)


def test_the_command_refuses_and_writes_nothing(projects, tmp_path):
    save(denser(mixed()), tmp_path / "new.thimble")
    before = tree(tmp_path)
    arguments = ("image", tmp_path / "new.thimble", "--project", projects["cortex-m4"])
    refused("TMB1416", *arguments, "--out", tmp_path / "new.img", says=("conv0",))
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", ["absent/new.img", "folder"])
def test_the_command_names_the_file_that_it_cannot_write(projects, tmp_path, name):
    save(mixed(), tmp_path / "m.thimble")
    (tmp_path / "folder").mkdir()
    before = tree(tmp_path)
    arguments = ("image", tmp_path / "m.thimble", "--project", projects["cortex-m4"])
    error = refused("TMB2035", *arguments, "--out", tmp_path / name)
    assert error["where"] == str(tmp_path / name)
    assert tree(tmp_path) == before


def test_bytes_behind_an_image_are_no_part_of_it(plans):
    image = plans["cortex-m4"].image.data
    assert read_image(image + b"\xff" * 100).data == image
