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
    champion = home.champion(KIND)
    if model_id == champion:
        raise BadInput(f"{model_id} is the champion already", where="promote", todo="see `endcap model history`")
    found = Model.load(home.model_folder(model_id))
    if found.model_id != model_id:
        raise BadInput(f"the model stored as {model_id} hashes to {found.model_id}", where=str(home.models_folder), todo="train again")
    snapshot = home.snapshot()
    return record(home, model_id, previous=champion, actor=actor, reason=reason, data_version=snapshot["snapshot_id"] if snapshot else "")


def rollback(home: Home, *, actor: str, reason: str) -> dict[str, Any]:
    """Go back to the champion before this one, as one more promotion. Raises BadInput when there is none."""
    newest = next(iter(history(home)), None)
    if newest is None or newest["previous"] is None:
        raise BadInput("there is no earlier model to go back to", where=str(home.path), todo="see `endcap model history`")
    return promote(home, newest["previous"], actor=actor, reason=reason or f"rollback of {newest['model_id']}")


def history(home: Home) -> list[dict[str, Any]]:
    """Every promotion, the newest first."""
    with home.engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(PROMOTIONS).order_by(PROMOTIONS.c.promotion_id.desc())).mappings()]


def record(home: Home, model_id: str, *, previous: str | None, actor: str, reason: str, data_version: str) -> dict[str, Any]:
    """Append one promotion."""
    row = {
        "kind": KIND, "model_id": model_id, "previous": previous, "actor": actor, "reason": reason, "data_version": data_version, "at": now(),
    }  # fmt: skip
    with home.engine.begin() as connection:
        connection.execute(insert(PROMOTIONS).values(row))
    return row
