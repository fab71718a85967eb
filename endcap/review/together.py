"""Answers given as one, and answers that overrule: what they name has to be this person's own, and about the same thing.

A group is taken back in one action: an answer that named somebody else's, or a split's, would take that along.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from endcap.decide.answers import SET
from endcap.ops.tables import OVERRIDES
from endcap.problems import BadInput

NEW_GROUP = "make a new group_id for answers that are given as one"


def check_group(connection: Connection, group_id: str | None, actor: str, field: str | None = None, value: str | None = None) -> None:
    """Raise BadInput where the group is there already and this answer cannot join it: only its giver's own, from the same desk, can.

    Answers about a `field` are given as one where all say the same `value`; splits, merges and single values are deeds of their own.
    """
    if group_id is None:
        return
    columns = (OVERRIDES.c.actor, OVERRIDES.c.field, OVERRIDES.c.value, OVERRIDES.c.action, OVERRIDES.c.evidence)
    for row in connection.execute(select(*columns).where(OVERRIDES.c.group_id == group_id, OVERRIDES.c.action != "undo").distinct()):
        if row.actor != actor:
            raise BadInput(f"the group {group_id!r} is another person's", where="group_id", todo=NEW_GROUP)
        alike = row.evidence is not None if field is None else (row.field, row.value, row.action) == (field, value, SET)
        if not alike or (field is None and row.field is not None):
            raise BadInput(f"the group {group_id!r} is of another deed", where="group_id", todo=NEW_GROUP)


def check_over(connection: Connection, over: int | None, **about: Any) -> None:
    """Raise BadInput where the answer to be overruled is not there, or is about something else than `about`, by columns of OVERRIDES."""
    if over is None:
        return
    named = connection.execute(select(*(OVERRIDES.c[name] for name in about)).where(OVERRIDES.c.override_id == over)).first()
    if named is None or tuple(named) != tuple(about.values()):
        what = about.get("offer_id") or f"the {about.get('field')} of {about.get('product_id')}"
        raise BadInput(f"answer {over} is not about {what}", where="over", todo="send the override_id that the conflict named")


def check_given(connection: Connection, answers: Sequence[Any], actor: str) -> None:
    """Both checks for answers about offers."""
    for group_id in dict.fromkeys(one.group_id for one in answers):
        check_group(connection, group_id, actor)
    for one in answers:
        check_over(connection, one.over, offer_id=one.offer_id, field=None)
