"""Every layer in every codec: the candidates that the planner chooses from."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from thimble.codecs import CODECS, Encoded
from thimble.errors import ModelError

_WORKERS = 2
_LARGE = 1 << 19  # weights from which on slow codecs have to pass on a sample first
_SAMPLE = 1 << 15
_SLOW = ("sri+xor", "rans")  # microseconds per non-zero
_CLOSE = 1.03  # of the smallest other codec's bytes on the sample
_KEPT = 1 << 24  # weights whose encodings are remembered: the same network is planned for core after core
_remembered: OrderedDict[tuple[bytes, tuple[int, ...]], dict[str, Encoded]] = OrderedDict()


def encode_layers(
    layers: Mapping[str, np.ndarray], forced: Mapping[str, str] | None = None
) -> dict[str, dict[str, Encoded]]:
    """int8 ``[rows, cols]`` by layer, in every codec that can hold it: ``{layer: {codec: Encoded}}``.

    Of a layer of half a million weights slow codecs that a sample shows to be larger than others are left
    out, except for the one that ``forced`` names for the layer. Codecs work side by side in threads: most
    of their time is NumPy's.
    """
    keys = {layer: _key(weights) for layer, weights in layers.items()}
    missing = {keys[layer]: weights for layer, weights in layers.items() if keys[layer] not in _remembered}
    with ThreadPoolExecutor(_WORKERS) as pool:
        tasks = {
            (key, name): pool.submit(_encode, name, weights)
            for key, weights in sorted(missing.items(), key=lambda item: -item[1].size)
            for name in _worth_while(weights)
        }
    found = {keys[layer]: _remembered[keys[layer]] for layer in layers if keys[layer] in _remembered}
    for key in missing:
        encoded = {name: tasks[key, name].result() for name in CODECS if (key, name) in tasks}
        found[key] = {name: e for name, e in encoded.items() if e is not None}
    for layer, codec in (forced or {}).items():
        if codec in _SLOW and codec not in found[keys[layer]] and (e := _encode(codec, layers[layer])):
            found[keys[layer]] = {**found[keys[layer]], codec: e}
    for key, by_codec in found.items():
        _remember(key, by_codec)
    return {layer: found[keys[layer]] for layer in layers}


def refusal(codec: str, weights: np.ndarray) -> str:
    """What a codec says of int8 ``[rows, cols]`` that it cannot hold (TMB1304); "" from an unknown one."""
    try:
        if codec in CODECS:
            CODECS[codec].encode(weights)
    except ModelError as error:
        return error.what
    return ""


def _worth_while(weights: np.ndarray) -> list[str]:
    """The codecs that a layer is encoded in: of a large one no slow codec that is larger than another.

    That is judged on some of its rows, spread evenly.
    """
    if weights.size < _LARGE:
        return list(CODECS)
    rows, cols = weights.shape
    some = weights[np.linspace(0, rows - 1, min(max(_SAMPLE // cols, 1), rows)).astype(np.int64)]
    sizes = {name: len(found.data) for name in CODECS if (found := _encode(name, some)) is not None}
    best = min(size for name, size in sizes.items() if name not in _SLOW)
    return [name for name in CODECS if name not in _SLOW or sizes.get(name, 0) <= _CLOSE * best]


def _encode(name: str, weights: np.ndarray) -> Encoded | None:
    try:
        return CODECS[name].encode(weights)
    except ModelError as error:
        if error.code == "TMB1304":
            return None
        raise


def _key(weights: np.ndarray) -> tuple[bytes, tuple[int, ...]]:
    return hashlib.sha256(np.ascontiguousarray(weights).tobytes()).digest(), weights.shape


def _remember(key: tuple[bytes, tuple[int, ...]], encoded: dict[str, Encoded]) -> None:
    _remembered[key] = encoded
    _remembered.move_to_end(key)
    while sum(rows * cols for _, (rows, cols) in _remembered) > _KEPT and len(_remembered) > 1:
        _remembered.popitem(last=False)
