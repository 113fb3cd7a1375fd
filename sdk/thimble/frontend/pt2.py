"""What could run code in a ``.pt2`` archive, found before torch reads it.

``torch.export.load`` unpickles custom objects and hands symbolic sizes to an evaluator of expressions. An
archive with static shapes, or a plain symbol for the batch, needs neither.
"""

from __future__ import annotations

import json
import re
import zipfile
from typing import Any

from thimble.errors import ModelError

_MAX_JSON = 1 << 26
_SYMBOL = re.compile(
    r"[su]\d{1,6}|-?\d{1,18}|Symbol\('[su]\d{1,6}'(, (positive|nonnegative|integer)=True){0,3}\)"
)


def refuse_code(path: str) -> None:
    """Raises ModelError TMB1111 where an archive holds custom objects or expressions.

    Other exceptions (OSError, BadZipFile, ValueError ..) mean that it cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".json"):
                continue
            if info.file_size > _MAX_JSON:
                raise ValueError(f"{info.filename} is too large")
            document = json.loads(archive.read(info))
            if info.filename.endswith("_constants_config.json"):
                for entry in document["config"].values():
                    if not entry["path_name"].startswith("tensor_") or entry["use_pickle"]:
                        raise _refused(path, "a pickled object")
            for expression in _expressions(document):
                if not _SYMBOL.fullmatch(expression):
                    raise _refused(path, f"the expression {expression!r:.60}")


def _expressions(document: Any) -> list[str]:
    """Every text under a key ``expr_str``."""
    found, rest = [], [document]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            if "expr_str" in item:
                found.append(str(item["expr_str"]))
            rest += item.values()
        elif isinstance(item, list):
            rest += item
    return found


def _refused(path: str, what: str) -> ModelError:
    return ModelError(
        "TMB1111",
        f"the archive holds {what}, which could run code",
        where=path,
        hint="export again with static shapes and tensors only",
    )
