"""Which model decides: the record of who put what into production, when, why and on what data."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from endcap.match import Model
from endcap.ops.database import now
from endcap.ops.home import Home
from endcap.ops.tables import PROMOTIONS
from endcap.problems import BadInput

KIND = "match"


def promote(home: Home, model_id: str, *, actor: str, reason: str) -> dict[str, Any]:
    """Make a stored model the champion; the next run decides with it. Raises BadInput for a model that is missing, damaged or champion already."""
    return _put_in_production(home, model_id, action="promote", actor=actor, reason=reason)


def rollback(home: Home, *, actor: str, reason: str) -> dict[str, Any]:
    """Go back to the champion before this one, and at the next rollback to the one before that. Raises BadInput when there is none."""
    champions: list[str] = []
    for row in reversed(history(home)):
        if row["action"] == "rollback":
            champions.pop()
        else:
            champions.append(row["model_id"])
    if len(champions) < 2:
        raise BadInput("there is no earlier model to go back to", where=str(home.path), todo="see `endcap model history`")
    return _put_in_production(home, champions[-2], action="rollback", actor=actor, reason=reason)


def _put_in_production(home: Home, model_id: str, *, action: str, actor: str, reason: str) -> dict[str, Any]:
    champion = home.champion(KIND)
    if model_id == champion:
        raise BadInput(f"{model_id} is the champion already", where=action, todo="see `endcap model history`")
    Model.stored(home.model_folder(model_id), model_id)
    snapshot = home.snapshot()
    data_version = snapshot["snapshot_id"] if snapshot else ""
    return record(home, model_id, action=action, previous=champion, actor=actor, reason=reason, data_version=data_version)


def history(home: Home) -> list[dict[str, Any]]:
    """Every promotion, the newest first."""
    with home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(PROMOTIONS).order_by(PROMOTIONS.c.promotion_id.desc())).mappings()]


def record(
    home: Home, model_id: str, *, previous: str | None, actor: str, reason: str, data_version: str, action: str = "promote",
) -> dict[str, Any]:  # fmt: skip
    """Append one promotion (or rollback) to the record."""
    row = {
        "kind": KIND, "model_id": model_id, "previous": previous, "action": action, "actor": actor, "reason": reason, "data_version": data_version, "at": now(),
    }  # fmt: skip
    with home.engine.begin() as connection:
        connection.execute(insert(PROMOTIONS).values(row))
    return row
