"""The shared ``.tflite`` models with their inputs, and TFLite's reference kernels to run them.

Data lies in the folder that THIMBLE_DATA names, by default ``shared/data`` beside the repository.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("THIMBLE_DATA", BESIDE))
Inputs = tuple[np.ndarray, np.ndarray | None]  # floats (N, ...), labels (N,) where there are any


@attrs.frozen
class Model:
    """A model file and the inputs for it: real ones, or none, for which random ones stand in."""

    name: str
    file: str
    inputs: Callable[[int], Inputs] | None = None

    @property
    def path(self) -> Path:
        return DATA / self.file

    @property
    def there(self) -> bool:
        """True where the file is."""
        return self.path.is_file()


def keywords(count: int) -> Inputs:
    """MFCC features of the keyword spotting test set, float32 ``(N, 49, 10, 1)``."""
    with np.load(DATA / "mlperf_tiny_kws_test" / "kws01_first500.npz") as file:
        x, y, scale, zero = (file[key] for key in ("x", "y", "scale", "zero_point"))
    return ((x[:count].astype(np.float32) - zero) * scale)[..., None], y[:count].astype(np.int64)


def people(count: int) -> Inputs:
    """Images of the visual wake words test set, float32 ``(N, 96, 96, 3)``, 0 to 1."""
    from PIL import Image  # only these images are compressed

    folder = DATA / "mlperf_tiny_vww_test"
    lines = [line.split(",") for line in (folder / "labels_even.csv").read_text().split()][:count]
    images = []
    with zipfile.ZipFile(folder / "vww01_even_bgr_jpg.zip") as archive:
        for name, _ in lines:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                images.append(np.asarray(image)[..., ::-1])  # stored as BGR
    return np.stack(images).astype(np.float32) / np.float32(255), np.array([int(y) for _, y in lines])


def pictures(count: int) -> Inputs:
    """CIFAR-10 training images, float32 ``(N, 32, 32, 3)``, 0 to 255."""
    with np.load(DATA / "cifar10_train4000" / "cifar10_train4000.npz") as file:
        return file["x"][:count].astype(np.float32), file["y"][:count].astype(np.int64)


_TINY = "mlperf_tiny_models"
INT8_MODELS = (
    Model("ad", f"{_TINY}/ad01_int8.tflite"),
    Model("kws", f"{_TINY}/kws_ref_model.tflite", keywords),
    Model("ic", f"{_TINY}/pretrainedResnet_quant.tflite", pictures),
    Model("vww", f"{_TINY}/vww_96_int8.tflite", people),
    Model("micro_speech", "tflm_models/micro_speech_quantized.tflite"),
    Model("hello_world", "tflm_models/hello_world_int8.tflite"),
)
FLOAT_MODELS = (
    Model("kws", f"{_TINY}/kws_ref_model_float32.tflite", keywords),
    Model("ic", f"{_TINY}/pretrainedResnet.tflite", pictures),
    Model("vww", f"{_TINY}/vww_96_float.tflite", people),
)


def run_samples(
    content: bytes, inputs: Sequence[np.ndarray], resolver: str = "BUILTIN_REF"
) -> list[np.ndarray]:
    """What TFLite computes, one sample after the other.

    Args:
        content: of the model's file.
        inputs: for each of the model's inputs ``(N, *shape with its batch)``, in the model's own type.
        resolver: one of its sets of kernels; the reference set lacks a few operators.

    Returns:
        For each output ``(N, *shape with its batch)``, in the model's own type.
    """
    runtime = _runtime()
    interpreter = runtime.Interpreter(
        model_content=content,
        experimental_op_resolver_type=getattr(runtime.OpResolverType, resolver),
        num_threads=1,
    )
    interpreter.allocate_tensors()
    outputs = []
    for sample in zip(*inputs, strict=True):
        for detail, x in zip(interpreter.get_input_details(), sample, strict=True):
            interpreter.set_tensor(detail["index"], x)
        interpreter.invoke()
        outputs.append([interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()])
    return [np.stack(parts) for parts in zip(*outputs, strict=True)]


def _runtime() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError:
        from tflite_runtime import interpreter
    return interpreter
