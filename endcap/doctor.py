"""Whether this installation and this catalog are in order, one finding a sentence."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

from endcap import settings
from endcap.ops.home import Home
from endcap.problems import Problem
from endcap.publish.history import verify_snapshot

LIBRARIES = ("deltalake", "duckdb", "fastexcel", "lightgbm", "lxml", "msgspec", "numba", "pyarrow", "rapidfuzz", "sklearn", "sqlalchemy")
MIN_FREE_GB = 1.0


def examine(folder: Path, home: Path | None = None) -> list[dict[str, Any]]:
    """Findings in the order they were looked at: {ok, what}."""
    findings = [_library(name) for name in LIBRARIES]
    try:
        catalog = settings.read(folder, overrides={"home": str(home.absolute())} if home else None)
    except Problem as problem:
        return [*findings, _finding(False, problem.sentence())]
    findings.append(_finding(True, f"settings: {len(catalog.feeds)} feeds"))
    there = catalog.inbox_path.is_dir()
    findings.append(_finding(there, f"inbox {catalog.inbox} is {'there' if there else 'missing: make it or use --inbox'}"))
    free_gb = shutil.disk_usage(_nearest_folder(catalog.home_path)).free / 1e9
    findings.append(_finding(free_gb >= MIN_FREE_GB, f"{free_gb:.1f} GB free"))
    return findings + _catalog_findings(catalog)


def _catalog_findings(catalog: settings.Catalog) -> list[dict[str, Any]]:
    if not os.access(_nearest_folder(catalog.home_path), os.W_OK):
        return [_finding(False, f"the folder {catalog.home} cannot be written")]
    if not catalog.home_path.is_dir():
        return [_finding(True, "no run yet")]
    try:
        home = Home(catalog)
        home.check_database()
        if home.snapshot() is None:
            return [_finding(True, "no snapshot yet")]
        snapshot_id, files, faults = verify_snapshot(home)
    except Problem as problem:
        return [_finding(False, problem.sentence())]
    return [_finding(not faults, f"snapshot {snapshot_id}: {'; '.join(faults) if faults else f'{files} files as they were published'}")]


def _library(name: str) -> dict[str, Any]:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        return _finding(False, f"{name} cannot be imported: {error}; run `make setup`")
    return _finding(True, f"{name} {getattr(module, '__version__', '')}".strip())


def _nearest_folder(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _finding(ok: bool, what: str) -> dict[str, Any]:
    return {"ok": ok, "what": what}
