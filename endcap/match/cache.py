"""Token arrays kept between runs in .npy files, found by offer id and identity hash.

A cache is only a saving of time: whatever is missing, foreign or damaged in it is read from the offers again.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.match import reading, synonyms, tokens
from endcap.match.tokens import Ragged, Tokens, join, keys_of, read_tokens

SEAL = "seal.json"
# Writing all arrays again costs more than reading a few changed offers once more: they gather up to this share.
WORTH_WRITING = 0.05


def cached_tokens(offers: pa.Table, folder: Path | None) -> Tokens:
    """`tokens.read_tokens(offers)`, reading only those that the folder does not hold, and leaving it holding nearly all."""
    if folder is None:
        return read_tokens(offers)
    known = _load(folder)
    if known is None or known.size == 0:
        found = read_tokens(offers)
        _save(found, folder)
        return found
    keys = keys_of(offers)
    order = np.argsort(known.keys, kind="stable")
    places = np.minimum(np.searchsorted(known.keys, keys, sorter=order), known.size - 1)
    held = known.keys[order[places]] == keys
    if held.all() and known.size == keys.size and (known.keys == keys).all():
        return known
    missing = np.flatnonzero(~held)
    rows = order[places].copy()
    rows[missing] = known.size + np.arange(missing.size)
    fresh = read_tokens(offers.take(missing))
    found = join([known, fresh]).take(rows)
    if missing.size > WORTH_WRITING * keys.size or known.size > 2 * keys.size:
        _save(found, folder)
    return found


def _version() -> str:
    """What the arrays depend on besides the offers: the text of the code that reads them."""
    from endcap import units

    sources = [Path(str(module.__file__)).read_bytes() for module in (reading, synonyms, tokens, units)]
    return f"{zlib.crc32(b''.join(sources)):08x}"


def _columns(found: Tokens) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for field in fields(found):
        column = getattr(found, field.name)
        if isinstance(column, Ragged):
            columns[f"{field.name}_start"], columns[field.name] = column.start, column.values
        else:
            columns[field.name] = column
    return columns


def _save(found: Tokens, folder: Path) -> None:
    """Write the arrays, and the seal last: arrays without their seal are not read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SEAL).unlink(missing_ok=True)
    sums = {}
    for name, column in _columns(found).items():
        np.save(folder / f"{name}.npy", column, allow_pickle=False)
        sums[name] = _sum(column)
    (folder / SEAL).write_text(json.dumps({"version": _version(), "sums": sums}, sort_keys=True), encoding="utf-8")


def _sum(column: np.ndarray) -> str:
    return f"{column.dtype}:{column.size}:{zlib.crc32(np.ascontiguousarray(column).data):08x}"


def _load(folder: Path) -> Tokens | None:
    """The cached arrays, or None where they are missing, foreign or damaged."""
    try:
        seal = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        if seal["version"] != _version():
            return None
        columns = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in seal["sums"]}
        if any(_sum(columns[name]) != expected for name, expected in seal["sums"].items()):
            return None
        return _assembled(columns)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _assembled(columns: dict[str, np.ndarray]) -> Tokens:
    found: dict[str, Any] = {}
    for name in (field.name for field in fields(Tokens)):
        found[name] = Ragged(columns[f"{name}_start"], columns[name]) if f"{name}_start" in columns else columns[name]
    return Tokens(**found)
