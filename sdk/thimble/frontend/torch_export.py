"""From a PyTorch module, through ``torch.export``, to a float Graph."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from thimble.errors import ModelError
from thimble.frontend.builder import Builder, Call, Value, image_value, in_order
from thimble.frontend.hints import hint_for
from thimble.frontend.operators import HANDLERS
from thimble.graph.fuse import fuse_activations
from thimble.graph.graph import Graph
from thimble.graph.validate import validate

_TORCH = str(Path(torch.__file__).parent)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in [^\n]*\n\s*(?P<code>[^\n]*)')
_SEQUENCE_OPERATIONS = {"aten.conv1d", "aten.max_pool1d", "aten.avg_pool1d", "aten.adaptive_avg_pool1d"}


def from_module(module: nn.Module, example_input: Any, name: str) -> Graph:
    """Imports a module as a float Graph.

    The module is exported in evaluation mode and left as it was. BatchNorm stays a layer, Dropout is
    dropped, clamping activations are fused into the layers before them.

    Args:
        module: float, on any device.
        example_input: a float tensor with the batch in front, of the size that the firmware will see, e.g.
            ``torch.zeros(1, 1, 28, 28)``; or a tuple of them.
        name: of the graph; the generated C is named after it.

    Returns:
        A validated graph. Images ``(N, C, H, W)`` become ``(H, W, C)``, and ``meta["input_layout"]`` says so;
        ``meta["parameters"]`` counts the parameters that the exported network uses, each once.

    Raises:
        ModelError: something is not supported (TMB1101), weights are NaN or infinite (TMB1102), shapes do not
            fit (TMB1103), ``torch.export`` cannot trace the module (TMB1104), or the module fails on the
            example (TMB1105).
    """
    examples = example_input if isinstance(example_input, tuple) else (example_input,)
    if not all(isinstance(x, torch.Tensor) and x.ndim >= 2 and x.is_floating_point() for x in examples):
        raise ModelError(
            "TMB1103",
            "the example input is not a float tensor with the batch in front",
            where=f"model {name}",
            hint="pass e.g. torch.zeros(1, 3, 32, 32)",
        )
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        program = _export(module, examples, name)
    finally:
        for part, training in modes.items():
            part.training = training
    return from_program(program, name)


def _export(module: nn.Module, examples: tuple[torch.Tensor, ...], name: str) -> ExportedProgram:
    # both steps run the user's code, which may raise anything; warnings are torch's own
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            module(*examples)
        except Exception as error:
            raise ModelError(
                "TMB1105",
                f"the module fails on the example input: {_first_line(error)}",
                where=f"model {name}",
                hint=f"its shapes are {[tuple(x.shape) for x in examples]}; does the module expect others?",
            ) from error
        try:
            return torch.export.export(module, examples)
        except Exception as error:
            raise ModelError(
                "TMB1104",
                f"torch.export cannot trace the module: {_first_line(error)}",
                where=f"model {name}",
                hint="forward must not branch on values of tensors, nor call anything but torch",
            ) from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or '(no message)').splitlines()[0]:.300}"


def from_program(program: ExportedProgram, name: str) -> Graph:
    """Imports an exported program, e.g. of ``torch.export.load``; otherwise as ``from_module``."""
    return _Importer(program, name).graph()


class _Importer:
    def __init__(self, program: ExportedProgram, name: str) -> None:
        self.program = program
        self.name = name
        self.builder = Builder()
        self.values: dict[torch.fx.Node, Any] = {}  # Value, torch.Tensor (constant), or what get_attr gives
        self.inputs: list[str] = []
        self.layouts: set[str] = set()
        self.parameters: set[str] = set()
        self.batch = 0

    def graph(self) -> Graph:
        self._signature()
        outputs: tuple[str, ...] = ()
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                outputs = self._outputs(node)
            elif node.op != "placeholder":
                raise self._unsupported(node, str(node.target))
        state = self.program.state_dict
        meta = {
            "parameters": sum(state[target].numel() for target in sorted(self.parameters)),
            "input_layout": "NCHW" if "NCHW" in self.layouts else "NHWC",
        }
        if meta["parameters"] == 0:
            raise ModelError(
                "TMB1101", "the model has no weights", where=f"model {self.name}", hint="nothing to compress"
            )
        graph = self.builder.graph(self.name, tuple(self.inputs), outputs, meta)
        return validate(fuse_activations(graph), f"model {self.name}")

    def _signature(self) -> None:
        """Constants and inputs, as the placeholders name them."""
        nodes = {node.name: node for node in self.program.graph.nodes if node.op == "placeholder"}
        constants = {**self.program.constants, **self.program.state_dict}
        for spec in self.program.graph_signature.input_specs:
            node = nodes[spec.arg.name]
            if spec.kind == InputKind.USER_INPUT:
                self.values[node] = self._input(node)
            else:
                self.values[node] = constants[spec.target].detach().cpu()
                if spec.kind == InputKind.PARAMETER and node.users:
                    self.parameters.add(spec.target)

    def _input(self, node: torch.fx.Node) -> Value | None:
        if not node.users:
            return None
        batch, *shape = (_size(n) for n in node.meta["val"].shape)
        if self.batch not in (0, batch):
            raise ModelError(
                "TMB1103",
                "the inputs differ in their batch",
                where=f"input {node.name}",
                hint="give every input the same batch",
            )
        self.batch = batch
        b = self.builder
        sequence = len(shape) == 2 and any(_operation(user) in _SEQUENCE_OPERATIONS for user in node.users)
        if len(shape) == 3 or sequence:
            self.layouts.add("NCHW")
            channels, height, width = shape if len(shape) == 3 else (shape[0], 1, shape[1])
            tensor = b.input(node.name, (height, width, channels))
            value = image_value(tensor, (height, width, channels), len(shape))
        else:
            tensor = b.input(node.name, tuple(shape))
            value = Value(tensor, np.arange(int(np.prod(shape))).reshape(shape))
        self.inputs.append(tensor)
        return value

    def _call(self, node: torch.fx.Node) -> Any:
        operation = _operation(node)
        if operation == "aten.sym_size":
            return _size(node.meta["val"])
        arguments = self._arguments(node)
        if not any(isinstance(a, Value) for a in _leaves(arguments)):
            return self._constant(node)
        handler = HANDLERS.get(operation)
        if handler is None:
            raise self._unsupported(node, operation)
        result = node.meta.get("val")
        if isinstance(result, torch.Tensor):
            arguments["result_shape"] = tuple(_size(n) for n in result.shape)
            arguments["result_is_float"] = result.is_floating_point()
        arguments["batch"] = self.batch
        plain = {key: _map(value, _array) for key, value in arguments.items()}
        name = self.builder.unique(_layer_name(node, operation))
        return handler(self.builder, Call(operation, name, source_line(node), plain))

    def _arguments(self, node: torch.fx.Node) -> dict[str, Any]:
        """The call's arguments by the names of the operator's schema, defaults filled in."""
        if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
            raise self._unsupported(node, str(node.target))
        schema = node.target._schema
        given = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
        given.update(zip((a.name for a in schema.arguments), node.args, strict=False))
        given.update(node.kwargs)
        return {key: _map(value, self._value) for key, value in given.items()}

    def _value(self, item: Any) -> Any:
        return self.values[item] if isinstance(item, torch.fx.Node) else item

    def _constant(self, node: torch.fx.Node) -> Any:
        """An operation on parameters and buffers alone, such as a mask times a weight: computed here."""
        assert callable(node.target)
        args = [_map(a, self._value) for a in node.args]
        kwargs = {key: _map(a, self._value) for key, a in node.kwargs.items()}
        with torch.no_grad():
            return node.target(*args, **kwargs)

    def _outputs(self, node: torch.fx.Node) -> tuple[str, ...]:
        outputs = []
        for result in _leaves(node.args[0]):
            value = self.values.get(result)
            if not isinstance(value, Value) or value.tensor in self.inputs:
                raise ModelError(
                    "TMB1101",
                    "an output is not computed from the input",
                    where=f"model {self.name}",
                    hint="return the last layer's result, or a tuple of results",
                )
            image = len(value.shape) == 3 and in_order(value.index.transpose(1, 2, 0))
            sequence = len(value.shape) == 2 and in_order(value.index.T)
            if not (image or sequence or in_order(value.index)):
                raise ModelError(
                    "TMB1101",
                    "an output would have to be rearranged in memory",
                    where=f"model {self.name}",
                    hint="return it before permuting or flattening it",
                )
            outputs.append(value.tensor)
        return tuple(outputs)

    def _unsupported(self, node: torch.fx.Node, operation: str) -> ModelError:
        name, source = _layer_name(node, operation), source_line(node)
        return ModelError(
            "TMB1101",
            f"{operation} is not supported",
            where=f"layer {name}" + (f" ({source})" if source else ""),
            hint=hint_for(operation),
        )


def source_line(node: torch.fx.Node) -> str:
    """The user's innermost line that made the node, as ``model.py:12: x = self.conv(x)``; may be empty."""
    line = ""
    for frame in _FRAME.finditer(node.meta.get("stack_trace") or ""):
        if not frame["file"].startswith(_TORCH):
            line = f"{Path(frame['file']).name}:{frame['line']}: {frame['code'].strip()}"
    return line if line.isprintable() else ""


def _layer_name(node: torch.fx.Node, operation: str) -> str:
    """The submodule's path, or the operation's name where forward calls a function."""
    stack: Mapping[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    if stack:
        path, kind = list(stack.values())[-1]
        # a container's own calls are functions; a leaf of torch.nn is the layer itself
        if path and str(kind).removeprefix("<class '").startswith("torch.nn.modules"):
            return path
        if path:
            return f"{path}.{operation.removeprefix('aten.')}"
    return operation.removeprefix("aten.")


def _operation(node: torch.fx.Node) -> str:
    """``aten.conv2d`` for every overload of it."""
    packet = getattr(node.target, "overloadpacket", None)
    return str(packet) if packet is not None else str(node.target)


def _size(n: int | torch.SymInt) -> int:
    """A dimension; of a symbolic batch the size that it had in the export's example."""
    return n if isinstance(n, int) else int(n.node.hint)


def _array(item: Any) -> Any:
    if isinstance(item, torch.Tensor):
        return item.detach().to(torch.float32).cpu().numpy() if item.is_floating_point() else item.numpy()
    return item


def _map(item: Any, function: Any) -> Any:
    if isinstance(item, list | tuple):
        return [_map(i, function) for i in item]
    return function(item)


def _leaves(item: Any) -> list[Any]:
    if isinstance(item, Mapping):
        item = list(item.values())
    return [leaf for i in item for leaf in _leaves(i)] if isinstance(item, list | tuple) else [item]
