"""A snapshot's folder of published files: written beside its place, synced, then renamed into it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from endcap import shelf
from endcap.problems import BadInput
from endcap.publish.diff import Diff, diff_products
from endcap.publish.products import CONTRACT, PUBLISHED, published_products, redirects

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Published:
    """One published snapshot: its files with their sha256, what changed from its parent, and how many ids redirect."""

    snapshot_id: str
    parent: str | None
    products: int
    files: Mapping[str, str]
    diff: Diff
    redirects: int

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    def summary(self) -> str:
        """One line for people."""
        since = f"since {self.parent}: {self.diff.summary()}" if self.parent else "the first snapshot"
        return f"{self.snapshot_id}: {self.products} products in {', '.join(sorted(self.files))}; {since}"


def write(con: duckdb.DuckDBPyConnection, folder: Path, targets: Sequence[str], snapshot_id: str, parent_folder: Path | None) -> Published:
    """See `endcap.publish.publish`."""
    for target in targets:
        if target not in shelf.names("targets"):
            raise BadInput(f"there is no publish target {target!r}", where="targets", todo=f"use {', '.join(shelf.names('targets'))}")
    there = read_manifest(folder)
    if there is not None and there["snapshot_id"] == snapshot_id and not verify(folder):
        return _published(folder, there)
    unfinished = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    _write_files(con, unfinished, sorted(set(targets)), snapshot_id, parent_folder)
    _put_in_place(unfinished, folder)
    return _published(folder, read_manifest(folder) or {})


def verify(folder: Path) -> list[str]:
    """Compare a published folder's files with its manifest; one sentence per fault, none when all is well."""
    manifest = read_manifest(folder)
    if manifest is None:
        return [f"{folder.name} has no readable {MANIFEST}"]
    faults = []
    for name, sha256 in sorted(manifest["files"].items()):
        if not (folder / name).is_file():
            faults.append(f"{folder.name}/{name} is missing")
        elif _sha256(folder / name) != sha256:
            faults.append(f"{folder.name}/{name} is not the file that was published (sha256 differs)")
    return faults


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a published folder; None where there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and "files" in manifest and "snapshot_id" in manifest else None


def read_products(folder: Path) -> pa.Table:
    """The products that a folder published. Raises BadInput when its files are not those of its manifest."""
    faults = verify(folder)
    if faults:
        raise BadInput("; ".join(faults), where=str(folder.parent), todo="restore the folder from a backup, or publish that snapshot again")
    targets = (read_manifest(folder) or {})["targets"]
    table: pa.Table = shelf.component("targets", "parquet" if "parquet" in targets else targets[0]).read(folder, PUBLISHED)
    return table


def _write_files(con: duckdb.DuckDBPyConnection, folder: Path, targets: list[str], snapshot_id: str, parent_folder: Path | None) -> None:
    products, led = published_products(con), redirects(con)
    parent = read_manifest(parent_folder) if parent_folder else None
    diff = diff_products(read_products(parent_folder) if parent_folder and parent else None, products, led)
    files = [path for target in targets for path in shelf.component("targets", target).write(products, folder)]
    files.append(_write_text(folder / "redirects.jsonl", "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in led.to_pylist())))
    files.append(_write_text(folder / "diff.json", json.dumps(diff.to_dict(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"))
    manifest = {
        "snapshot_id": snapshot_id, "parent": parent["snapshot_id"] if parent else None, "contract": CONTRACT, "targets": targets,
        "columns": products.column_names, "products": products.num_rows, "redirects": led.num_rows,
        "files": {path.name: _sha256(path) for path in sorted(files)},
    }  # fmt: skip
    _write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    _sync(folder)


def _put_in_place(unfinished: Path, folder: Path) -> None:
    """Rename into place; a damaged folder of that name steps aside first and is removed after."""
    aside = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    unfinished.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _published(folder: Path, manifest: Mapping[str, Any]) -> Published:
    diff = Diff(**json.loads((folder / "diff.json").read_text(encoding="utf-8")))
    files = {**manifest["files"], MANIFEST: _sha256(folder / MANIFEST)}
    return Published(manifest["snapshot_id"], manifest["parent"], manifest["products"], files, diff, manifest["redirects"])


def _write_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    _sync(path)
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Make a file's bytes or a folder's names durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
