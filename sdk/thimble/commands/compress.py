"""`thimble compress`: a recipe in, a small quantised model out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from thimble.board import load_board
from thimble.commands.summary import show_summary, smallest_plan, summary
from thimble.compress.checkpoint import NAME as CHECKPOINT
from thimble.compress.data import Dataset, call_loader, check_data
from thimble.compress.imported import dequantize
from thimble.compress.pipeline import compress as run_recipe
from thimble.compress.progress import Bar
from thimble.frontend.load import load_source
from thimble.graph.graph import Graph
from thimble.graph.io import save
from thimble.quantize.inputs import quantize_values
from thimble.quantize.interpreter import run
from thimble.quantize.post_training import quantize
from thimble.recipe import Recipe, load_recipe

MODEL = "model.thimble"
_CALIBRATION = 500
_BATCH = 1000


def compress(recipe_path: Path, out: Path) -> dict[str, Any]:
    """Trains, prunes, quantises; writes ``out/model.thimble`` and returns its summary.

    An interrupted run leaves a checkpoint in ``out``, from which the same command goes on.
    """
    recipe = load_recipe(recipe_path)
    if recipe.target.board is not None:
        load_board(recipe.target.board)  # a wrong name is told before hours of training
    splits = call_loader(recipe)
    graph = import_model(recipe, splits)
    data = check_data(splits, graph, where=recipe.data.loader if recipe.data else "data")
    out.mkdir(parents=True, exist_ok=True)
    with Bar() as bar:
        result = run_recipe(graph, data, recipe, out, bar, keep_checkpoint=True)
    quantized = quantize(
        result.graph,
        data.train.batch(slice(0, _CALIBRATION)).numpy(),
        bits=recipe.quantize.weights,
        scales=recipe.quantize.scales,
        activation_ranges=result.activation_ranges,
        weight_scales=result.weight_scales,
    )
    accuracy = {**result.graph.meta.get("accuracy", {}), "int8": integer_accuracy(quantized, data)}
    meta = {
        **quantized.meta,
        "accuracy": accuracy,
        "codecs": _codecs(recipe, quantized),
        "target": attrs.asdict(recipe.target, filter=lambda _, value: value is not None),
    }
    quantized = attrs.evolve(quantized, meta=meta)
    document = summary(smallest_plan(quantized))
    save(quantized, out / MODEL)
    (out / CHECKPOINT).unlink(missing_ok=True)
    document["model"] = str(out / MODEL)
    show_summary(document)
    return document


def import_model(recipe: Recipe, splits: Sequence[tuple[np.ndarray, np.ndarray]]) -> Graph:
    """The recipe's model as a float Graph, a module for the shape of the first training sample."""
    example = torch.zeros(1, *splits[0][0].shape[1:])
    torch.manual_seed(recipe.train.seed)  # weights of a model that is trained from scratch
    weights = recipe.model.weights and recipe.resolve(recipe.model.weights)
    name = recipe.model.name or recipe.path.resolve().parent.name
    return dequantize(load_source(str(recipe.resolve(recipe.model.source)), weights, example, name))


def integer_accuracy(graph: Graph, data: Dataset) -> float:
    """Per cent of the test samples that the integer reference gets right."""
    quant = graph.tensors[graph.inputs[0]].quant
    assert quant is not None
    right = 0
    for start in range(0, len(data.test), _BATCH):
        rows = slice(start, start + _BATCH)
        outputs = run(graph, quantize_values(data.test.batch(rows).numpy(), quant))[0]
        right += int((outputs.reshape(len(outputs), -1).argmax(axis=1) == data.test.y[rows].numpy()).sum())
    return round(100.0 * right / len(data.test), 4)


def _codecs(recipe: Recipe, graph: Graph) -> dict[str, str]:
    return {layer.name: recipe.encode.codec_of(layer.name) for layer in graph.weighted}
