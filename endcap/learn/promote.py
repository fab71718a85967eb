"""Which artefact decides: the record of who put what into production, when, why and on what data.

What is written here is not judged here: `endcap.govern.promotion` is the gate before it. A run records its own first model without one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from endcap.decide import in_force
from endcap.infer import load_known
from endcap.match import Model
from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.tables import PROMOTIONS, RUNS
from endcap.problems import BadInput

KIND = "match"
DECIDES = ("promote", "rollback")
ALL_KINDS = (KIND, "infer", *in_force.KINDS)
# Noted with every snapshot, beside the models, where people put it in force: what a run reads by may be learnt anew all the same.
PROMOTED_KNOWN = "promoted_infer"
# What an artefact is called, by the file that only its folders hold.
_CALLED = {in_force.FILE: "changed settings", "model.json": "a matching model", "known.json": "a dictionary"}
_HELD_BY = {KIND: "model.json", "infer": "known.json", **dict.fromkeys(in_force.KINDS, in_force.FILE)}


def check_readable(home: Home, kind: str, artefact: str) -> None:
    """Raise BadInput where an artefact is missing, damaged or of another kind."""
    folder = home.model_folder(artefact)
    mine = _HELD_BY.get(kind)
    if mine and not _is_there(folder / mine):
        found = next((words for name, words in _CALLED.items() if _is_there(folder / name)), "")
        if found:
            raise BadInput(f"{artefact} is {found}, not {_CALLED[mine]}", where="artefact", todo="name another one; `endcap model history` tells their kinds")
        if kind == "infer" and not _is_there(folder):
            raise BadInput(f"there is no dictionary {artefact!r}", where=str(home.models_folder), todo="`endcap train --what known` stores one")
    if kind == KIND:
        Model.stored(home.model_folder(artefact), artefact)
    elif kind in in_force.KINDS:
        in_force.said(home, kind, artefact)
        in_force.overlaid(home, {kind: artefact})
    elif kind == "infer":
        load_known(home.model_folder(artefact))
    elif not _is_there(folder):
        raise BadInput(f"there is no {kind} {artefact!r}", where=str(home.models_folder), todo="see `endcap model history`")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name longer than any file's
        return False


def deciding(home: Home, kind: str) -> tuple[str, bool]:
    """(the champion of a kind, empty where the settings' file holds as it stands; whether the current snapshot was decided with it).

    What was promoted since the last run is the champion and has decided nothing yet.
    """
    models, champion = home.manifest().models, home.champion(kind)
    if kind in in_force.KINDS:
        champion = champion if champion is not None and in_force.said(home, kind, champion) else ""
        return champion, champion == models.get(kind, "")
    taken_in = models.get(PROMOTED_KNOWN if kind == "infer" else kind)
    return (models.get(kind, ""), True) if champion in (None, taken_in) else (str(champion), False)


def before(home: Home, kind: str) -> str:
    """The artefact that a rollback leads to: the one in force before this one, and at the next rollback the one before that.

    Where settings were overlaid for the first time it is the empty overlay: the file as it stands; where something took the place of what a run
    had learnt by itself, that. Raises BadInput when there is none.
    """
    if kind not in ALL_KINDS:
        raise BadInput(f"there is no kind of artefact {kind!r}", where="--kind", todo=f"name one of {', '.join(ALL_KINDS)}")
    artefacts: list[str] = []
    for row in reversed(history(home, kind)):
        if row["action"] == "rollback":
            artefacts.pop()
        elif row["action"] == "promote":
            artefacts.append(row["model_id"])
    if len(artefacts) == 1 and kind in in_force.KINDS:
        return in_force.store(home, kind, {})
    if len(artefacts) == 1 and (learnt := next(row["previous"] for row in reversed(history(home, kind)) if row["action"] == "promote")):
        return str(learnt)
    if len(artefacts) < 2:
        others = [one for one in in_force.KINDS if one != kind and any(row["action"] == "promote" for row in history(home, one))]
        todo = f"what was promoted of another kind goes back with --kind {' or '.join(others)}" if others else "see `endcap model history`"
        raise BadInput(f"there is no earlier {'model' if kind == KIND else kind} to go back to", where=str(home.path), todo=todo)
    return artefacts[-2]


def history(home: Home, kind: str | None = None) -> list[dict[str, Any]]:
    """Every promotion of a kind of artefact, or of all, the newest first."""
    wanted = select(PROMOTIONS) if kind is None else select(PROMOTIONS).where(PROMOTIONS.c.kind == kind)
    with home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(wanted.order_by(PROMOTIONS.c.promotion_id.desc())).mappings()]


def told_history(home: Home) -> list[dict[str, Any]]:
    """Every promotion, and every run that decided by another policy because the settings' file was edited, the newest first."""
    with home.engine.connect() as connection:
        wanted = select(RUNS).where(RUNS.c.state == "done", RUNS.c.figures_json.contains('"edited"'))
        runs = [dict(row) for row in connection.execute(wanted.order_by(RUNS.c.attempt_id)).mappings()]
    return with_edits(history(home), runs)


def with_edits(promotions: list[dict[str, Any]], runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Promotions, the newest first, and among them the edits of the settings' file that runs, the oldest first, decided by."""
    edits = [_of_edit(row, json.loads(row["figures_json"]).get("edited")) for row in runs]
    return sorted([*reversed([one for one in edits if one]), *promotions], key=lambda row: str(row["at"]), reverse=True)


def _of_edit(run: dict[str, Any], edited: Mapping[str, str] | None) -> dict[str, Any] | None:
    if edited is None:
        return None
    told = {"kind": "policy", "action": "edit", "model_id": edited["policy"], "previous": edited["previous"], "actor": "the settings"}
    reason = f"the settings' file was edited: {edited['words']}"
    return {"promotion_id": None, **told, "reason": reason, "data_version": run["snapshot_id"], "at": run["finished_at"], "scope": None, "proposal_id": None}


def last_kind(home: Home) -> str:
    """The kind of artefact that changed last; matching where none ever did."""
    return next((str(row["kind"]) for row in history(home) if row["action"] in DECIDES), KIND)


def record(
    home: Home, model_id: str, *, previous: str | None, actor: str, reason: str, data_version: str, action: str = "promote", kind: str = KIND,
    scope: str | None = None, proposal_id: int | None = None, connection: Connection | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Append one step (promote, rollback, shadow, canary or stop) to the record, within a writer's transaction where one is given."""
    row = {
        "kind": kind, "model_id": model_id, "previous": previous, "action": action, "actor": actor, "reason": reason, "data_version": data_version, "at": now(),
        "scope": scope, "proposal_id": proposal_id,
    }  # fmt: skip
    if connection is None:
        with writing(home.engine) as connection:
            return _append(connection, row)
    return _append(connection, row)


def _append(connection: Connection, row: dict[str, Any]) -> dict[str, Any]:
    key = connection.execute(insert(PROMOTIONS).values(row)).inserted_primary_key
    number = int(key[0]) if key else 0
    sealed = audit.seals_of(connection, PROMOTIONS, PROMOTIONS.c.promotion_id == number)
    audit.record(connection, row["actor"], row["action"], f"{row['kind']} {row['model_id']}", {"reason": row["reason"], "access": sealed})
    return {"promotion_id": number, **row}
