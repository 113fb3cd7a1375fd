"""From a PyTorch module, through ``torch.export``, to a float Graph."""

from __future__ import annotations

import math
import operator
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from thimble.errors import ModelError
from thimble.frontend import elementwise, operators, recurrent, shaping  # noqa: F401  they fill HANDLERS
from thimble.frontend.builder import Builder, Call, Value, image_value, in_order
from thimble.frontend.handlers import HANDLERS
from thimble.frontend.hints import hint_for
from thimble.graph.fuse import fuse_activations
from thimble.graph.graph import Graph
from thimble.graph.validate import MAX_ELEMENTS, validate

_TORCH = str(Path(torch.__file__).parent)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in [^\n]*\n\s*(?P<code>[^\n]*)')
_SEQUENCE_OPERATIONS = {"aten.conv1d", "aten.conv_transpose1d", "aten.max_pool1d", "aten.avg_pool1d"}
_SEQUENCE_OPERATIONS |= {"aten.adaptive_avg_pool1d", "aten.upsample_nearest1d"}
_FILLS = {"aten.zeros_like", "aten.ones_like", "aten.full_like"}
_FILLS |= {"aten.new_zeros", "aten.new_ones", "aten.new_full"}
_ALIKE = {"aten.cat", "aten.pad", "aten.constant_pad_nd", "aten.batch_norm", "aten.relu", "aten.slice"}
_ALIKE |= {"aten.add", "aten.sub", "aten.mul", "aten.div", "aten.dropout", "aten.to"}  # shape stays alike


def from_module(module: nn.Module, example_input: Any, name: str, *, states: int = 0) -> Graph:
    """Imports a module as a float Graph.

    The module is exported in evaluation mode and left as it was. BatchNorm stays a layer, Dropout is
    dropped, clamping activations are fused into the layers before them.

    Args:
        module: float, on any device.
        example_input: a float tensor with the batch in front, of the size that the firmware will see, e.g.
            ``torch.zeros(1, 1, 28, 28)``; or a tuple of them.
        name: of the graph; the generated C is named after it.
        states: how many of the last inputs are states, which the last results renew: a step of a recurrent
            network, ``forward(x, h) -> (y, h)``. Buffers that forward changes are states too.

    Returns:
        A validated graph. Images ``(N, C, H, W)`` become ``(H, W, C)``, and ``meta["input_layout"]`` says so;
        results ``(N, C, L)`` are ``(1, L, C)`` where they lie so, as behind a Conv1d, else ``(C, L)``.
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
    return from_program(program, name, states=states)


def _export(module: nn.Module, examples: tuple[torch.Tensor, ...], name: str) -> ExportedProgram:
    # both steps run the user's code, which may raise anything; warnings are torch's own
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
        try:
            module(*examples)
            for buffer, before in buffers:  # a step of a stream changes its state
                buffer.copy_(before)
        except Exception as error:
            raise ModelError(
                "TMB1105",
                f"the module fails on the example input: {_first_line(error)}",
                where=f"model {name}",
                hint=f"its shapes are {[tuple(x.shape) for x in examples]}; does the module expect others?",
            ) from error
        try:
            return torch.export.export(module, tuple(x.clone() for x in examples))  # one tensor is one input
        except Exception as error:
            raise ModelError(
                "TMB1104",
                f"torch.export cannot trace the module: {_first_line(error)}",
                where=f"model {name}",
                hint="forward must not branch on values of tensors, nor call anything but torch",
            ) from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or '(no message)').splitlines()[0]:.300}"


def from_program(program: ExportedProgram, name: str, *, states: int = 0) -> Graph:
    """Imports an exported program, e.g. of ``torch.export.load``; otherwise as ``from_module``."""
    if _changes_buffers(program):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = program.run_decompositions({})  # names what is written back
    return _Importer(program, name, states).graph()


def _changes_buffers(program: ExportedProgram) -> bool:
    buffers = set(program.graph_signature.inputs_to_buffers)
    return any(
        isinstance(node.target, torch._ops.OpOverload)
        and node.target._schema.is_mutable
        and isinstance(node.args[0], torch.fx.Node)
        and node.args[0].name in buffers
        for node in program.graph.nodes
        if node.op == "call_function" and node.args
    )


class _Importer:
    def __init__(self, program: ExportedProgram, name: str, states: int) -> None:
        self.program = program
        self.name = name
        self.state_count = states
        self.buffers: dict[str, Value] = {}  # changed ones by name, as they are before a run
        self.builder = Builder()
        self.values: dict[torch.fx.Node, Any] = {}  # Value, torch.Tensor (constant), or what get_attr gives
        self.inputs: list[Value] = []
        self.layouts: set[str] = set()
        self.parameters: set[str] = set()
        self.batch = 0

    def graph(self) -> Graph:
        self._signature()
        results: list[tuple[str, Any]] = []  # the buffer that it renews, if any, and the value
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                self.values[node] = self._call(node)
            elif node.op == "output":
                results = self._results(node)
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
        inputs, outputs, states = self._ends(results)
        graph = self.builder.graph(self.name, inputs, outputs, meta, states)
        return validate(fuse_activations(graph), f"model {self.name}")

    def _signature(self) -> None:
        """Constants and inputs, as the placeholders name them."""
        nodes = {node.name: node for node in self.program.graph.nodes if node.op == "placeholder"}
        constants = {**self.program.constants, **self.program.state_dict}
        changed = set(self.program.graph_signature.buffers_to_mutate.values())
        for spec in self.program.graph_signature.input_specs:
            node = nodes[spec.arg.name]
            if spec.kind == InputKind.USER_INPUT:
                self.values[node] = value = self._input(node)
                if value is not None:
                    self.inputs.append(value)
            elif spec.target in changed:
                if torch.count_nonzero(constants[spec.target]):
                    raise ModelError(
                        "TMB1101",
                        f"the state {spec.target} does not begin with zeros",
                        where=f"model {self.name}",
                        hint="reset it to zeros before the export, or keep its start as an offset",
                    )
                self.values[node] = before = self._input(node)
                if before is not None:
                    self.buffers[spec.target] = before
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
        sequence = len(shape) == 2 and _feeds_sequences(node)
        if len(shape) == 3 or sequence:
            self.layouts.add("NCHW")
            channels, height, width = shape if len(shape) == 3 else (shape[0], 1, shape[1])
            tensor = b.input(node.name, (height, width, channels))
            value = image_value(tensor, (height, width, channels), len(shape))
        else:
            tensor = b.input(node.name, tuple(shape))
            value = Value(tensor, np.arange(int(np.prod(shape))).reshape(shape))
        return value

    def _call(self, node: torch.fx.Node) -> Any:
        operation = _operation(node)
        if operation == "aten.sym_size":
            return _size(node.meta["val"])
        if node.target is operator.getitem:
            source, at = node.args
            return self.values[source][at]  # type: ignore[index]
        if operation == "aten._assert_tensor_metadata":  # export holds it already
            return None
        arguments = self._arguments(node)
        if operation in _FILLS:
            value = arguments.get("fill_value", float("one" in operation))
            return torch.full(self._checked(node).shape, value)
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
        self._checked(node)
        args = [_map(a, self._value) for a in node.args]
        kwargs = {key: _map(a, self._value) for key, a in node.kwargs.items()}
        leaves = _leaves([args, list(kwargs.values())])
        sizes = [leaf for leaf in leaves if isinstance(leaf, int) and not isinstance(leaf, bool)]
        if not any(isinstance(leaf, torch.Tensor) for leaf in leaves) and math.prod(sizes) > MAX_ELEMENTS:
            # what a file says of its result need not be true
            raise self._refused(
                f"a constant of sizes {sizes}", f"at most {MAX_ELEMENTS} elements can be held"
            )
        try:
            with torch.no_grad():
                return node.target(*args, **kwargs)
        except Exception as error:  # torch raises whatever it stumbles over
            raise self._refused(
                f"a constant cannot be computed: {_first_line(error)}", "export the model again"
            ) from None

    def _checked(self, node: torch.fx.Node) -> torch.Tensor:
        """What torch knows of a constant before it is made, whose size is refused if it is unreasonable."""
        meta = node.meta.get("val")
        shape = [_size(n) for n in meta.shape] if isinstance(meta, torch.Tensor) else []
        if math.prod(shape) > MAX_ELEMENTS:
            raise self._refused(
                f"a constant of shape {shape}", f"at most {MAX_ELEMENTS} elements can be held"
            )
        return torch.empty(shape, device="meta")

    def _results(self, node: torch.fx.Node) -> list[tuple[str, Any]]:
        specs = self.program.graph_signature.output_specs
        renewed = [s.target if s.kind == OutputKind.BUFFER_MUTATION else "" for s in specs]
        leaves = [self.values.get(result) for result in _leaves(node.args[0])]
        return [(target or "", value) for target, value in zip(renewed, leaves, strict=True)]

    def _ends(
        self, results: list[tuple[str, Any]]
    ) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, str], ...]]:
        """The graph's inputs, outputs and states."""
        outputs = [value for target, value in results if not target]
        count = self.state_count
        if not 0 <= count < min(len(self.inputs), len(outputs)) and count:
            raise self._refused(
                f"{count} states need {count + 1} inputs and outputs; "
                f"there are {len(self.inputs)} and {len(outputs)}",
                "forward takes x and the states, and returns its results and the states renewed",
            )
        pairs = [(self.buffers[target], value) for target, value in results if target in self.buffers]
        if count:
            pairs += zip(self.inputs[-count:], outputs[-count:], strict=True)
            outputs = outputs[:-count]
        states = tuple((before.tensor, self._renewed(before, after)) for before, after in pairs)
        inputs = self.inputs[: len(self.inputs) - count]
        return tuple(v.tensor for v in inputs), tuple(self._output(v) for v in outputs), states

    def _renewed(self, before: Value, after: Any) -> str:
        """The tensor that holds a state after a run, stored as the one before it."""
        if not isinstance(after, Value) or after.index.size != before.index.size:
            raise self._refused(
                f"the state {before.tensor} is not renewed by a value of its shape",
                "return as many states as forward takes, in the same order",
            )
        index = np.empty(after.index.size, np.int64)
        index[before.index.reshape(-1)] = after.index.reshape(-1)
        call = Call("a state", f"{before.tensor}.next", "", {})
        tensor = self.builder.stored(
            call, after.tensor, index.reshape(self.builder.tensors[before.tensor].shape)
        )
        if self.builder.writer(tensor):
            return tensor
        raise self._refused(
            f"the state {before.tensor} is renewed by an input as it is",
            "give the state what a layer computes",
        )

    def _output(self, value: Any) -> str:
        if not isinstance(value, Value) or not self.builder.writer(value.tensor):
            raise self._refused(
                "an output is not computed from the input",
                "return the last layer's result, or a tuple of results",
            )
        call, index = Call("an output", "output", "", {}), value.index
        if len(value.shape) == 3 and value.batch == 0:
            return self.builder.as_image(call, value)
        whole = index.size == self.builder.tensors[value.tensor].size
        if whole and len(value.shape) == 2 and in_order(index.T):
            return self.builder.as_image(call, value)
        if whole and len(value.shape) == 1 and in_order(index):
            return value.tensor
        return self.builder.stored(call, value.tensor, index)

    def _refused(self, what: str, hint: str) -> ModelError:
        return ModelError("TMB1101", what, where=f"model {self.name}", hint=hint)

    def _unsupported(self, node: torch.fx.Node, operation: str) -> ModelError:
        name, source = _layer_name(node, operation), source_line(node)
        return ModelError(
            "TMB1101",
            f"{operation} is not supported",
            where=f"layer {name}" + (f" ({source})" if source else ""),
            hint=hint_for(operation),
        )


def _feeds_sequences(node: torch.fx.Node) -> bool:
    """True where a value ``(N, C, L)`` reaches an operation over L with its axes as they are."""
    seen, rest = {node}, [node]
    while rest:
        for user in rest.pop().users:
            if _operation(user) in _SEQUENCE_OPERATIONS:
                return True
            if _operation(user) in _ALIKE and user not in seen:
                seen.add(user)
                rest.append(user)
    return False


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
