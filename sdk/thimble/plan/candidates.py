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
_KEPT = 1 << 24  # weights whose encodings are remembered: the same network is planned for core after core
_remembered: OrderedDict[tuple[bytes, tuple[int, ...]], dict[str, Encoded]] = OrderedDict()


def encode_layers(layers: Mapping[str, np.ndarray]) -> dict[str, dict[str, Encoded]]:
    """int8 ``[rows, cols]`` by layer, in every codec that can hold it: ``{layer: {codec: Encoded}}``.

    Codecs work side by side in threads, since most of their time is NumPy's.
    """
    keys = {layer: _key(weights) for layer, weights in layers.items()}
    missing = {keys[layer]: weights for layer, weights in layers.items() if keys[layer] not in _remembered}
    with ThreadPoolExecutor(_WORKERS) as pool:
        tasks = {
            (key, name): pool.submit(_encode, name, weights)
            for key, weights in sorted(missing.items(), key=lambda item: -item[1].size)
            for name in CODECS
        }
    found = {keys[layer]: _remembered[keys[layer]] for layer in layers if keys[layer] in _remembered}
    for key in missing:
        encoded = {name: tasks[key, name].result() for name in CODECS}
        found[key] = {name: e for name, e in encoded.items() if e is not None}
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
