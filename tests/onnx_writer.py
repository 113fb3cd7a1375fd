"""Writing small ONNX models in tests: nodes by their operators, weights as arrays or drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

DOMAIN = "com.microsoft"


class Net:
    """A model that grows node by node; every method that adds something returns its name.

    >>> net = Net((1, 3, 8, 6))
    >>> model = net.model(net("Relu", net.x))
    """

    def __init__(
        self, *shapes: tuple[int | str, ...], opset: int = 13, kind: int = TensorProto.FLOAT
    ) -> None:
        self.opset = opset
        self.rng = np.random.default_rng(7)
        self.inputs = [helper.make_tensor_value_info(f"x{k}", kind, shape) for k, shape in enumerate(shapes)]
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.kinds: dict[str, int] = {}

    @property
    def x(self) -> str:
        return "x0"

    def __call__(self, operation: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Adds a node; arrays among its inputs become initialisers. One name, or a list of them."""
        names = [self.weight(i) if isinstance(i, np.ndarray | list | float) else i or "" for i in inputs]
        domain, _, name = operation.rpartition(":")
        results = [f"t{len(self.nodes)}_{k}" for k in range(outputs)]
        node = helper.make_node(name, names, results, f"{name}{len(self.nodes)}", domain=domain, **attributes)
        self.nodes.append(node)
        return results[0] if outputs == 1 else results

    def weight(self, value: Any) -> str:
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def normal(self, *shape: int) -> np.ndarray:
        return self.rng.normal(size=shape).astype(np.float32)

    def uniform(self, *shape: int) -> np.ndarray:
        return self.rng.uniform(0.5, 2, shape).astype(np.float32)

    def conv(self, x: Any, out: int, into: int, *kernel: int, **attributes: Any) -> str:
        """A convolution with random weights and bias."""
        weight = self.normal(out, into, *kernel) * np.float32((into * np.prod(kernel)) ** -0.5)
        return self("Conv", x, weight, self.normal(out), **attributes)

    def model(
        self, *outputs: str, kind: int = TensorProto.FLOAT, weights_as_inputs: bool = False
    ) -> ModelProto:
        infos = [helper.make_tensor_value_info(name, self.kinds.get(name, kind), None) for name in outputs]
        inputs = list(self.inputs)
        if weights_as_inputs:
            inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in self.weights]
        graph = helper.make_graph(self.nodes, "net", inputs, infos, self.weights)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=3 if self.opset < 9 else 8)
