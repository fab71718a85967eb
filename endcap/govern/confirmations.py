"""Promise against outcome, some weeks after a promotion: confirmed, failed, or worse than before and rolled back with a postmortem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from endcap.govern import evidence, postmortems, promotion
from endcap.govern.proposals import after_days, all_proposals, proposal, step
from endcap.lake import Manifest
from endcap.learn.promote import DECIDES, PROMOTED_KNOWN, history
from endcap.metrics import measure
from endcap.ops.database import now, writing
from endcap.ops.home import Home
from endcap.ops.names import OWN
from endcap.ops.tables import SNAPSHOTS

KEPT, NOT_KEPT, WORSE, UNKNOWN = "confirmed", "failed", "rolled_back", "not evaluable"


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of a promise, in words."""

    outcome: str
    words: str


def confirm_due(home: Home, *, today: str | None = None) -> list[dict[str, Any]]:
    """Compare every promotion whose day has come. Where too little is known yet, it is compared again later."""
    today = today or now()[:10]
    due = [row for row in all_proposals(home) if row["state"] == "promoted" and (row["confirm_on"] or "9") <= today]
    return [_confirm(home, proposal(home, row["proposal_id"])) for row in due]


def compare(metric: str, smallest_effect: float, guard_rails: list[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> Compared:
    """The outcome, from the figures at the promotion and now (by name: value, low, high, unit, direction, version); effects of shares are in points.

    Worse: the metric or a guard rail moved the wrong way beyond both intervals.
    """
    wrong = [name for name in [metric, *guard_rails] if _fell(_figure(name, before), _figure(name, after))]
    if wrong:
        return Compared(WORSE, f"{', '.join(wrong)} got worse beyond the interval: {_told(wrong[0], before, after)}")
    one, other = _figure(metric, before), _figure(metric, after)
    if one is None or other is None or one["version"] != other["version"]:
        return Compared(UNKNOWN, f"too little is known of {metric} to compare")
    gained = _gained(one, other)
    if gained + 1e-9 >= smallest_effect:
        return Compared(KEPT, f"{_told(metric, before, after)}; promised was {smallest_effect:g} or more")
    return Compared(NOT_KEPT, f"{_told(metric, before, after)}; promised was {smallest_effect:g} or more")


def _confirm(home: Home, row: dict[str, Any]) -> dict[str, Any]:
    promoted = _promotion_of(home, row)
    since, details = _decides_since(home, row, promoted), row["details"]
    if since is None:
        found = Compared(UNKNOWN, "no run has decided with it yet")
    else:
        found = compare(row["metric"], details["smallest_effect"], details["guard_rails"], promoted.get("before") or {}, _figures_since(home, since))
    told = {"proposal_id": row["proposal_id"], "outcome": found.outcome, "words": found.words}
    in_force = home.champion(str(row["artefact_kind"])) == row["artefact"]
    if found.outcome == WORSE and in_force:
        promotion.rollback(home, actor=OWN, reason=found.words, kind=str(row["artefact_kind"]), cause="guard_rail")
    elif found.outcome in (KEPT, NOT_KEPT, WORSE):
        state = KEPT if found.outcome == KEPT else NOT_KEPT
        _close(home, row, state, found.words)
    else:
        with writing(home.engine) as connection:
            step(
                home, row["proposal_id"], "promoted", actor=OWN, reason=found.words, details={"postponed": True}, connection=connection,
                confirm_on=_later(home),
            )  # fmt: skip
    return told


def _promotion_of(home: Home, row: dict[str, Any]) -> dict[str, Any]:
    """The step that put it into production, with the figures of that day; those that put the comparison off lead to the same state."""
    with home.engine.connect() as connection:
        sealed = evidence.sealed_steps(connection, row["proposal_id"])
    return next((one for one in reversed(sealed) if one["state"] == "promoted" and one.get("promotion")), {})


def _decides_since(home: Home, row: dict[str, Any], promoted: Mapping[str, Any]) -> int | None:
    """The first run that it decided; None where there is none."""
    kind, snapshots = str(row["artefact_kind"]), home.rows(SNAPSHOTS).sort_by("run").to_pylist()
    data_version = next((one["data_version"] for one in history(home, kind) if one["promotion_id"] == promoted.get("promotion")), "")
    before = next((one["run"] for one in snapshots if one["snapshot_id"] == data_version), 0)
    for one in snapshots:
        models = Manifest.from_json(one["manifest_json"]).models
        if one["run"] > before and row["artefact"] in (models.get(kind), models.get(PROMOTED_KNOWN) if kind == "infer" else None):
            return int(one["run"])
    return None


def _figures_since(home: Home, run: int) -> dict[str, dict[str, Any]]:
    """The figures by name; audits count that were answered since that run: those of before judge what decided before."""
    with home.connect() as con:
        asked = con.sql("""
            SELECT * FROM blind_asks WHERE key IN (SELECT o.key FROM overrides o JOIN snapshots s USING (snapshot_id) WHERE s.run >= ?) ORDER BY ask_id
        """, params=[run]).to_arrow_table()  # fmt: skip
        con.register("blind_asks", asked)
        return {figure.name: figure.to_dict() for figure in measure(con)}


def _close(home: Home, row: dict[str, Any], state: str, words: str) -> None:
    with writing(home.engine) as connection:
        step(home, row["proposal_id"], state, actor=OWN, reason=words, connection=connection)
        if state == NOT_KEPT:
            entry = next(one for one in history(home) if one["proposal_id"] == row["proposal_id"] and one["action"] in DECIDES)
            title = f"proposal {row['proposal_id']} did not keep its promise"
            postmortems.open_one(home, connection, title, cause="promise_not_kept", owner=str(row["owner"]), entry=entry, words=words, of=entry)


def _later(home: Home) -> str:
    return after_days(home.catalog.govern.confirm_days)


def _figure(name: str, figures: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A figure by its name, or the first of a metric that has several; None where it has no value."""
    found = figures.get(name) or next((one for key, one in figures.items() if key.split(".")[0] == name), None)
    return found if found is not None and found["value"] is not None else None


def _gained(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How much better the other is, in its unit; of shares in points."""
    gained = (other["value"] - one["value"]) * (1 if one["direction"] == "up" else -1)
    return float(100 * gained if one["unit"] == "share" else gained)


def _fell(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    if one is None or other is None or one["version"] != other["version"] or None in (one["low"], one["high"], other["low"], other["high"]):
        return False
    return bool(other["high"] < one["low"]) if one["direction"] == "up" else bool(other["low"] > one["high"])


def _told(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    shown = []
    for figures in (before, after):
        found = _figure(name, figures)
        scale, unit = (100, " %") if found and found["unit"] == "share" else (1, "")
        shown.append(f"{scale * found['value']:.1f}{unit}" if found else "unknown")
    return f"{name} went from {shown[0]} to {shown[1]}"
