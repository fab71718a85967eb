"""Whether this installation and this catalog are in order, one finding a sentence."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

from endcap import settings
from endcap.learn.promote import ALL_KINDS, check_readable
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
    found = [_finding(not faults, f"snapshot {snapshot_id}: {'; '.join(faults) if faults else f'{files} files as they were published'}")]
    return found + [_artefact(home, kind) for kind in ALL_KINDS if _in_force(home, kind)]


def _in_force(home: Home, kind: str) -> str | None:
    return home.champion(kind) or home.manifest().models.get(kind)


def _artefact(home: Home, kind: str) -> dict[str, Any]:
    """Whether what decides can be read."""
    artefact = str(_in_force(home, kind))
    try:
        check_readable(home, kind, artefact)
    except Problem as problem:
        return _finding(False, problem.sentence())
    return _finding(True, f"{kind} {artefact}: in force and readable")


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
