"""The networks that bench.codec_table measures: models of the repository, and others' from THIMBLE_DATA."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np

from thimble.graph.io import load as load_graph

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("THIMBLE_DATA", ROOT.parent / "shared" / "data"))
_DNS = ROOT / "examples" / "pruned_dns_lenet" / "convert.py"
_DNS_BITS = 4
_AD01 = DATA / "mlperf_tiny_models" / "ad01_int8.tflite"


class Missing(Exception):
    """Why a network cannot be had here."""


@attrs.frozen(eq=False)
class Layer:
    """A layer's weights, int8 ``[rows, cols]``, in the order in which our codecs store them.

    ``channels`` is how many neighbouring columns read the same pixel: the input channels of a convolution, or
    of a fully connected layer behind one.
    """

    name: str
    matrix: np.ndarray
    channels: int

    @property
    def channels_first(self) -> np.ndarray:
        """The same integers with a row's input channels outermost, as PyTorch has them."""
        rows, cols = self.matrix.shape
        return self.matrix.reshape(rows, -1, self.channels).swapaxes(1, 2).reshape(rows, cols)


@attrs.frozen
class Network:
    """A network by the name that it has in tables, and how its layers with weights are had."""

    name: str
    load: Callable[[], tuple[Layer, ...]]


def model(path: Path) -> tuple[Layer, ...]:
    """Layers of a quantised ``.thimble`` file; Missing where there is none."""
    if not path.exists():
        raise Missing(f"no {path.name}")
    graph = load_graph(path)
    return tuple(
        Layer(
            layer.name,
            layer.weight.reshape(len(layer.weight), -1),
            layer.weight.shape[-1] if layer.weight.ndim == 4 else graph.tensors[layer.inputs[0]].shape[-1],
        )
        for layer in graph.weighted
    )


def pruned_dns() -> tuple[Layer, ...]:
    """The authors' pruned LeNet-300-100, converted at 4 bits; Missing without the data."""
    if not (DATA / "pruned_dns_lenet").exists() or not (DATA / "mnist").exists():
        raise Missing("THIMBLE_DATA should name a folder that holds pruned_dns_lenet and mnist")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "m.thimble"
        command = [sys.executable, str(_DNS), "--bits", str(_DNS_BITS), "--out", str(out)]
        subprocess.run(command, check=True, capture_output=True)
        return model(out)


def ad01() -> tuple[Layer, ...]:
    """The dense layers of MLPerf Tiny's anomaly detector; Missing without its file or the package tflite."""
    try:
        import tflite
    except ImportError:
        raise Missing("pip install tflite") from None
    if not _AD01.exists():
        raise Missing("THIMBLE_DATA should name a folder that holds mlperf_tiny_models/ad01_int8.tflite")
    file = tflite.Model.GetRootAs(_AD01.read_bytes(), 0)
    graph = file.Subgraphs(0)
    layers = []
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        data = file.Buffers(tensor.Buffer())
        if tensor.Type() == tflite.TensorType.INT8 and data.DataLength():
            weights = data.DataAsNumpy().view(np.int8).reshape(tensor.ShapeAsNumpy())
            layers.append(Layer(tensor.Name().decode(), weights, weights.shape[1]))
    return tuple(layers)


def _own(path: str) -> Callable[[], tuple[Layer, ...]]:
    return lambda: model(ROOT / path)


NETWORKS = (
    Network("LeNet-5", _own("examples/mnist_lenet5/lenet5.thimble")),
    Network("LeNet-300-100", _own("examples/mnist_lenet300/lenet300.thimble")),
    Network("LeNet-300-100, pruned by DNS", pruned_dns),
    Network("ResNet-20", _own("examples/cifar10_resnet20/resnet20.thimble")),
    Network("keyword CNN", _own("bench/keyword_cnn/keyword_cnn.thimble")),
    Network("spoken digits DS-CNN", _own("examples/spoken_digits/spoken_digits.thimble")),
    Network("ad01, dense", ad01),
)
