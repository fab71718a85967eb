"""What is in force: the settings of the file, overlaid by the policy, mapping and taxonomy that were promoted.

An overlay is an artefact like a model: a folder under `models/`, named by the hash of its text, and nothing but a promotion puts it in force.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import duckdb
from pydantic import ValidationError

from endcap.decide.policy import in_words, policy_id
from endcap.lake import Manifest
from endcap.lake.tables import write_synced
from endcap.ops.home import Home
from endcap.problems import BadInput, BadSettings
from endcap.settings import Catalog, Fields, Policy, cross_check, mistakes_of, unknown_feeds

KINDS = ("policy", "mapping", "taxonomy")
POLICY_ID = "policy_id"  # the policy whole, in a snapshot's models: the settings' file changes it as well
FILE, TAXONOMY_FILE = "overlay.json", "taxonomy.csv"


class Kept(Protocol):
    """Where settings, snapshots and artefacts of a catalog are kept."""

    @property
    def catalog(self) -> Catalog: ...

    def manifest(self, snapshot_id: str | None = None) -> Manifest: ...

    def model_folder(self, model_id: str) -> Path: ...

    def connect(self) -> duckdb.DuckDBPyConnection: ...


def in_force(home: Home) -> Catalog:
    """The catalog's settings with every promoted overlay in them. Raises BadInput where one cannot be read or does not fit the settings."""
    return overlaid(home, {kind: artefact for kind in KINDS if (artefact := home.champion(kind)) is not None})


def at_snapshot(home: Kept) -> Catalog:
    """The settings under which the current snapshot was decided; what was promoted since, or said of the policy in the settings' file, waits for a run.

    A server that was started before the file was edited has read another policy than the one that decided, too.
    """
    found, decided_by = as_file_says(home), home.manifest().models.get(POLICY_ID, "")
    if decided_by in ("", policy_id(found.policy)):
        return found
    policy = _policy_of_run(home, decided_by)
    return found.model_copy(update={"policy": policy}) if policy is not None else found


def as_file_says(home: Kept) -> Catalog:
    """The settings' file under what was in force when the current snapshot was decided."""
    models = home.manifest().models
    return overlaid(home, {kind: models[kind] for kind in KINDS if kind in models})


def overlaid(home: Kept, artefacts: Mapping[str, str]) -> Catalog:
    """The settings of the file under given artefacts, by kind; kinds without one are as the file says.

    What is told of a feed that has left the settings since waits there for its return.
    """
    catalog, changed = home.catalog, dict[str, Any]()
    if "policy" in artefacts:
        changed["policy"] = _policy(catalog.policy, said(home, "policy", artefacts["policy"]), artefacts["policy"])
    if "mapping" in artefacts:
        changed["feeds"] = _feeds(catalog, said(home, "mapping", artefacts["mapping"]), artefacts["mapping"])
    if "taxonomy" in artefacts and said(home, "taxonomy", artefacts["taxonomy"]):
        changed["taxonomy"] = str((home.model_folder(artefacts["taxonomy"]) / TAXONOMY_FILE).absolute())
    found = catalog.model_copy(update=changed) if changed else catalog
    mistakes = cross_check(found)
    if mistakes:
        raise BadSettings(mistakes, where=f"the {' and '.join(artefacts)} in force")
    return found


def store(home: Kept, kind: str, overlay: Mapping[str, Any], *, taxonomy: bytes | None = None) -> str:
    """Keep an overlay as an artefact; out: its hash. The same overlay has the same hash. Raises BadSettings where it does not fit the settings.

    policy: settings of `policy` by name; mapping: for each feed the fields that change; taxonomy: the bytes of its file. An empty one means
    that the settings' file holds as it stands.
    """
    told = {**overlay, "sha256": hashlib.sha256(taxonomy).hexdigest()} if taxonomy is not None else dict(overlay)
    text = json.dumps({"format": "endcap-overlay-1", "kind": kind, "set": told}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    artefact = hashlib.sha256(text.encode()).hexdigest()[:12]
    folder = home.model_folder(artefact)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    if taxonomy is not None:
        write_synced(folder / TAXONOMY_FILE, taxonomy)
    write_synced(folder / FILE, text.encode())
    try:
        overlaid(home, {kind: artefact})
        named = {"mapping": overlay, "policy": overlay.get("marketplaces", ())}.get(kind, ())
        mistakes = unknown_feeds(home.catalog, named)
        if mistakes:
            raise BadSettings(mistakes, where=f"the {kind} {artefact}")
    except BadInput:
        if is_new:  # what does not fit leaves nothing behind
            shutil.rmtree(folder)
        raise
    return artefact


def said(home: Kept, kind: str, artefact: str) -> dict[str, Any]:
    """What an overlay says. Raises BadInput where it is missing, of another kind, or was altered after it was kept."""
    folder = home.model_folder(artefact)
    where, todo = f"{artefact}/{FILE}", f"roll back with `endcap rollback --kind {kind}`"
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
        given = json.loads(text)
        if hashlib.sha256(text.encode()).hexdigest()[:12] != artefact:
            raise BadInput(f"the {kind} {artefact} was altered after it was kept", where=where, todo=todo)
        if given["kind"] != kind:
            raise BadInput(f"{artefact} is a {given['kind']}, not a {kind}", where=where, todo=todo)
        _check_taxonomy(folder, given["set"], where, todo)
        return dict(given["set"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise BadInput(f"the {kind} {artefact} cannot be read", where=where, todo=todo) from None


def told(home: Kept) -> str:
    """The policy of the current snapshot, in words."""
    policy, artefact = at_snapshot(home).policy, home.manifest().models.get("policy")
    holds_still = policy_id(policy) == policy_id(as_file_says(home).policy)
    where = (f"promoted as {artefact}" if artefact else "as the settings say") + ("" if holds_still else ", and edited since")
    return f"policy in force ({where}): {in_words(policy)}"


def _check_taxonomy(folder: Path, told: Mapping[str, Any], where: str, todo: str) -> None:
    if "sha256" in told and hashlib.sha256((folder / TAXONOMY_FILE).read_bytes()).hexdigest() != told["sha256"]:
        raise BadInput(f"{TAXONOMY_FILE} was altered after it was kept", where=where, todo=todo)


def _policy(policy: Policy, overlay: Mapping[str, Any], artefact: str) -> Policy:
    try:
        return Policy.model_validate({**policy.model_dump(), **overlay})
    except ValidationError as error:
        raise BadSettings(mistakes_of(error, Policy), where=f"the policy {artefact}") from None


def _policy_of_run(home: Kept, decided_by: str) -> Policy | None:
    """The policy of that hash, as the run that decided by it kept it; None where no run did."""
    with home.connect() as con:
        rows = con.execute("SELECT figures_json FROM runs WHERE state = 'done' ORDER BY run DESC, attempt_id DESC LIMIT 1").fetchall()
    try:
        policy = Policy.model_validate(json.loads(rows[0][0] or "{}").get("policy", {})) if rows else None
    except (ValueError, AttributeError):  # of a version that knew other settings
        return None
    return policy if policy is not None and policy_id(policy) == decided_by else None


def _feeds(catalog: Catalog, overlay: Mapping[str, Any], artefact: str) -> dict[str, Any]:
    feeds, mistakes = dict(catalog.feeds), []
    for name, changed in overlay.items():
        if name not in feeds:
            continue
        try:
            fields = Fields.model_validate({**feeds[name].fields.model_dump(exclude_none=True), **dict(changed)})
            feeds[name] = feeds[name].model_copy(update={"fields": fields})
        except (ValidationError, TypeError, ValueError) as error:
            mistakes += [f"{name}.{one}" for one in mistakes_of(error, Fields)] if isinstance(error, ValidationError) else [f"{name}: give fields by name"]
    if mistakes:
        raise BadSettings(mistakes, where=f"the mapping {artefact}")
    return feeds
