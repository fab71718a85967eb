"""The store kept between runs: a base in memory-mapped .npy files, and one small file for what each run added or removed.

The folder is only a saving of time: it is compared with the live offers at every start, and what is missing, foreign or damaged
in it is read from the offers again. Sizes and samples of every base file are verified when it is opened, all bytes before they
are written into a new base. A flipped bit between the samples is therefore seen only then; files of changes are verified whole.
"""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.match import index, packing, reading, store, synonyms, tokens
from endcap.match.index import Part
from endcap.match.packing import pack, unpack
from endcap.match.store import Base, Live, Rows, Store, build_base, build_store, changes_of, join_rows, live_rows, open_store, read_rows
from endcap.match.tokens import Ragged, Tokens

SEAL, BASE = "seal.json", "base"
# Beyond this share of the base, what came later is built into a new base.
WORTH_BUILDING = 0.2
SAMPLES, SAMPLE_BYTES = 64, 4096
# Columns of mostly small whole numbers.
SHORT = ("known", "gram_counts")
ROW_COLUMNS = ("keys", "marks", "feeds", "prices", "currencies")


def synced_store(live: Live, folder: Path | None) -> Store:
    """The index of exactly these live offers, with as little reading as the folder allows, and the folder brought up to it."""
    return (build_store(live) if folder is None else _synced(live, folder)).listing(live.marketplaces)


def opened_store(live: Live, folder: Path) -> Store:
    """The same for one who only reads: nothing is written, and what the folder lacks is read from the offers."""
    return _opened(live, folder).listing(live.marketplaces)


def _synced(live: Live, folder: Path) -> Store:
    found = _load(folder)
    if found is None:
        return _build_anew(live, folder)
    base, batches = found
    known = _fold(base, batches)
    places, gone = changes_of(known, live)
    if not places.size and not gone.size:
        return known
    delta_rows = known.delta.size + places.size
    if delta_rows + gone.size + known.base.rows.size - known.size > max(WORTH_BUILDING * base.rows.size, 1000):
        return _build_on(known, live, places, gone, folder)
    fresh = read_rows(live.fetch(live.thin["offer_id"].combine_chunks().take(pa.array(places))), known.delta.feed_names)
    grown = _fold(base, [*batches, (fresh, gone)])
    if grown.is_outdated:
        return _build_on(known, live, places, gone, folder)
    _save_batch(fresh, gone, folder, len(batches))
    return grown


def _opened(live: Live, folder: Path) -> Store:
    found = _load(folder)
    if found is None:
        return build_store(live)
    base, batches = found
    known = _fold(base, batches)
    places, gone = changes_of(known, live)
    if not places.size and not gone.size:
        return known
    if known.delta.size + places.size + gone.size > max(WORTH_BUILDING * base.rows.size, 1000):
        return build_store(live)
    fresh = read_rows(live.fetch(live.thin["offer_id"].combine_chunks().take(pa.array(places))), known.delta.feed_names)
    grown = _fold(base, [*batches, (fresh, gone)])
    return build_store(live) if grown.is_outdated else grown


def _build_anew(live: Live, folder: Path) -> Store:
    built = build_store(live)
    _save_base(built.base, folder)
    return _reopened(built, folder)


def _build_on(known: Store, live: Live, places: np.ndarray, gone: np.ndarray, folder: Path) -> Store:
    """A new base from what is known and what changed; from the offers alone where the old base proves damaged."""
    if not _is_whole(folder / BASE):
        return _build_anew(live, folder)
    fresh = read_rows(live.fetch(live.thin["offer_id"].combine_chunks().take(pa.array(places))), known.delta.feed_names)
    old = live_rows(known)
    stays = ~np.isin(old.keys, np.concatenate([fresh.keys, gone]))
    built = open_store(build_base(join_rows([replace(old.take(np.flatnonzero(stays)), feed_names=fresh.feed_names), fresh])))
    _save_base(built.base, folder)
    return _reopened(built, folder)


def _reopened(built: Store, folder: Path) -> Store:
    """The same from its files, so that memory holds only what is used."""
    found = _load(folder)
    return built if found is None else open_store(found[0])


def _fold(base: Base, batches: list[tuple[Rows, np.ndarray]]) -> Store:
    """Of each offer the last that was said of it."""
    if not batches:
        return open_store(base)
    joined = join_rows([rows for rows, _ in batches])
    last: dict[int, int] = {}
    first = 0
    for rows, removed in batches:
        last |= dict.fromkeys(removed.tolist(), -1)
        last |= {key: first + place for place, key in enumerate(rows.keys.tolist())}
        first += rows.size
    kept = np.array(sorted(place for place in last.values() if place >= 0), dtype=np.int64)
    return open_store(base, joined.take(kept), np.array(list(last), dtype=np.uint64))


def _version() -> str:
    """What the arrays depend on besides the offers: the text of the code that makes them."""
    from endcap import text, units

    sources = [Path(str(module.__file__)).read_bytes() for module in (reading, synonyms, tokens, text, units, index, store, packing)]
    return f"{zlib.crc32(b''.join(sources)):08x}"


# --- files ----------------------------------------------------------------------------------------------------------


def _save_base(base: Base, folder: Path) -> None:
    """Write a base in place of what the folder holds, and its seal last: files without their seal are not read."""
    home = folder / BASE
    (home / SEAL).unlink(missing_ok=True)
    for old in folder.glob("changes_*.npz"):
        old.unlink()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    part = {name: column for name, column in base.part._asdict().items() if name not in ("place", "start", "flags", "gram_start", "grams")}
    columns = {**_columns(base.rows), **part, "vocabulary": base.vocabulary, "known": base.known, "gram_counts": base.grams, "by_key": base.by_key}
    del columns["hashes"]
    kept, how = pack(columns, short=SHORT, halves={"grams": "grams_start"})
    for name, column in kept.items():
        np.save(home / f"{name}.npy", column, allow_pickle=False)
    files = {name: _file_sums(home / f"{name}.npy") for name in kept}
    seal = {"version": _version(), "feeds": list(base.rows.feed_names), "files": files, "columns": how}
    (home / SEAL).write_text(json.dumps(seal, sort_keys=True), encoding="utf-8")


def _save_batch(rows: Rows, removed: np.ndarray, folder: Path, number: int) -> None:
    """One file of changes; its archive carries a sum of every array. A torn file is as none, and the next start reads the offers again."""
    file, draft = folder / f"changes_{number:06d}.npz", folder / "draft.npz"
    seal = json.dumps({"version": _version(), "feeds": list(rows.feed_names), "base": _base_sum(folder)})
    with draft.open("wb") as stream:
        np.savez(stream, allow_pickle=False, removed=removed, seal=np.frombuffer(seal.encode(), dtype=np.uint8), **_columns(rows))
    draft.replace(file)


def _base_sum(folder: Path) -> str:
    return f"{zlib.crc32((folder / BASE / SEAL).read_bytes()):08x}"


def _columns(rows: Rows) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {name: getattr(rows, name) for name in ROW_COLUMNS}
    for field in fields(rows.tokens):
        column = getattr(rows.tokens, field.name)
        if isinstance(column, Ragged):
            columns[f"{field.name}_start"], columns[field.name] = column.start, column.values
        else:
            columns[field.name if field.name != "keys" else "token_keys"] = column
    for name in ("offer_ids", "titles"):
        columns[f"{name}_start"], columns[name] = _text_arrays(getattr(rows, name))
    return columns


def _text_arrays(texts: pa.Array[Any]) -> tuple[np.ndarray, np.ndarray]:
    """(starts int64 [n + 1], UTF-8 bytes) of an array of large strings."""
    if not len(texts):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    _, offsets, data = texts.buffers()
    start = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    letters = np.frombuffer(data, dtype=np.uint8) if data else np.zeros(0, np.uint8)
    return start - start[0], letters[start[0] : start[-1]]


def _rows_from(columns: dict[str, np.ndarray], feed_names: tuple[str, ...]) -> Rows:
    found: dict[str, Any] = {}
    for field in fields(Tokens):
        if f"{field.name}_start" in columns:
            found[field.name] = Ragged(columns[f"{field.name}_start"], columns[field.name])
        else:
            found[field.name] = columns["token_keys" if field.name == "keys" else field.name]
    texts = []
    for name in ("offer_ids", "titles"):
        start, letters = columns[f"{name}_start"], columns[name]
        texts.append(pa.LargeStringArray.from_buffers(start.size - 1, pa.py_buffer(start), pa.py_buffer(letters)))
    plain = {name: columns[name] for name in ROW_COLUMNS}
    return Rows(Tokens(**found), texts[0], texts[1], feed_names=feed_names, **plain)


def _load(folder: Path) -> tuple[Base, list[tuple[Rows, np.ndarray]]] | None:
    """The base and the changes since, or None where they are missing, foreign or damaged."""
    try:
        return _load_base(folder / BASE), _load_batches(folder)
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error):
        return None


def _load_base(home: Path) -> Base:
    seal = json.loads((home / SEAL).read_text(encoding="utf-8"))
    if seal["version"] != _version():
        raise ValueError("written by other code")
    kept = {}
    for name, sums in seal["files"].items():
        file = home / f"{name}.npy"
        if file.stat().st_size != sums["bytes"] or _sampled(file) != sums["sampled"]:
            raise ValueError(f"{file.name} is damaged")
        mapped = np.load(file, mmap_mode="c", allow_pickle=False) if sums["elements"] else np.load(file, allow_pickle=False)
        kept[name] = mapped.view(np.ndarray)
    columns = unpack(kept.__getitem__, seal["columns"])
    columns["hashes"] = columns["hashes_start"][:0].view(np.uint64)
    rows = _rows_from(columns, tuple(seal["feeds"]))
    none = np.zeros(0, dtype=np.int32)
    part = Part(
        columns["hashes_start"], columns["ids"], columns["flags"], columns["grams_start"], columns["grams"], none,
        *(columns[name] for name in ("posting_start", "posting", "gram_posting_start", "gram_posting")),
    )  # fmt: skip
    return Base(rows, part, columns["vocabulary"], columns["known"], columns["gram_counts"], columns["by_key"])


def _load_batches(folder: Path) -> list[tuple[Rows, np.ndarray]]:
    found = []
    for number, file in enumerate(sorted(folder.glob("changes_*.npz"))):
        with np.load(file, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
        seal = json.loads(columns.pop("seal").tobytes().decode("utf-8"))
        if seal["version"] != _version() or seal["base"] != _base_sum(folder) or file.name != f"changes_{number:06d}.npz":
            raise ValueError(f"{file.name} belongs to another base")
        removed = columns.pop("removed")
        found.append((_rows_from(columns, tuple(seal["feeds"])), removed))
    return found


def _file_sums(file: Path) -> dict[str, Any]:
    size = file.stat().st_size
    return {
        "bytes": size,
        "elements": int(np.load(file, mmap_mode="r", allow_pickle=False).size) if size > 128 else 0,
        "sampled": _sampled(file),
        "whole": _whole(file),
    }


def _sampled(file: Path) -> str:
    """Sum over the head, the end and pages evenly between."""
    size, found = file.stat().st_size, 0
    with file.open("rb") as stream:
        for place in sorted({min(size * number // SAMPLES, max(size - SAMPLE_BYTES, 0)) for number in range(SAMPLES + 1)}):
            stream.seek(place)
            found = zlib.crc32(stream.read(SAMPLE_BYTES), found)
    return f"{found:08x}"


def _whole(file: Path) -> str:
    found = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            found = zlib.crc32(block, found)
    return f"{found:08x}"


def _is_whole(home: Path) -> bool:
    seal = json.loads((home / SEAL).read_text(encoding="utf-8"))
    return all(_whole(home / f"{name}.npy") == sums["whole"] for name, sums in seal["files"].items())
