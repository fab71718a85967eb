"""What is asked of proposals, models, loops and switches: read from their tables, the most pressing first."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from endcap.decide import in_force
from endcap.govern.evidence import words_of
from endcap.learn.promote import with_edits
from endcap.problems import BadInput
from endcap.serve import answers_models as answers
from endcap.serve.asking import NotFound
from endcap.serve.reading import Reading

MOST = 500
_IS_EDIT = """contains(figures_json, '"edited"')"""
# What somebody must do something about comes first.
WAITING = ("proposed", "validated", "accepted", "canary", "shadow", "draft")
# The states of a loop from the last to the first, each with the column that says when it came.
LOOP_STATES = ("closed", "verified", "in_snapshot", "released", "decided", "acknowledged")


def proposals(reading: Reading) -> answers.Proposals:
    """All proposals."""
    reading.bring_up()
    order = " ".join(f"WHEN '{state}' THEN {place}" for place, state in enumerate(WAITING))
    rows = reading.rows(f"SELECT * FROM proposals ORDER BY CASE state {order} ELSE {len(WAITING)} END, proposal_id DESC LIMIT {MOST}")
    counted = reading.rows("SELECT state, count(*) AS n FROM proposals GROUP BY ALL ORDER BY 2 DESC, 1")
    return answers.Proposals(
        snapshot=reading.snapshot_id, proposals=[_proposal(row) for row in rows], by_state={row["state"]: row["n"] for row in counted}
    )  # fmt: skip


def proposal(reading: Reading, proposal_id: int) -> answers.ProposalPage:
    """One proposal. Raises NotFound."""
    reading.bring_up()
    row = reading.row("SELECT * FROM proposals WHERE proposal_id = ?", [proposal_id])
    if row is None:
        raise NotFound(f"there is no proposal {proposal_id}", "every proposal is listed at /decisions")
    trials = reading.rows_now("SELECT figures_json FROM trials WHERE trial_id = ?", [row["trial_id"]]) if row["trial_id"] else []
    figures = json.loads(trials[0]["figures_json"]) if trials else {}
    shoppers = figures.get("shoppers", {})
    steps = reading.rows('SELECT state, actor, reason, "at", details_json FROM proposal_events WHERE proposal_id = ? ORDER BY event_id', [proposal_id])
    return answers.ProposalPage(
        snapshot=reading.snapshot_id, proposal=_proposal(row), text=row["text"] or "", steps=[_step(step) for step in steps],
        slices=_slices(figures.get("judgement", {})), reasons=figures.get("judgement", {}).get("reasons", []), cases=figures.get("cases"),
        claims=[one["words"] for one in figures.get("plan", {}).get("claims", [])], anew=shoppers.get("anew", 0),
        changed=shoppers.get("changed"), merged=shoppers.get("merged"), split=shoppers.get("split"), changed_by=shoppers.get("by", {}),
        samples=[_changed(one) for one in shoppers.get("samples", [])], postmortems=_postmortems(reading, "WHERE proposal_id = ?", [proposal_id]),
    )  # fmt: skip


def _step(row: dict[str, Any]) -> answers.ProposalStep:
    details = json.loads(row.pop("details_json") or "{}")
    return answers.ProposalStep(words=words_of({**details, **row}), **row)


def models(reading: Reading) -> answers.Models:
    """Promotions, edits of the settings' file and trials, the newest first."""
    reading.bring_up()
    promotions = reading.rows(f"SELECT * FROM promotions ORDER BY promotion_id DESC LIMIT {MOST}")
    champions: dict[str, str] = {}
    for row in promotions:
        if row["action"] in ("promote", "rollback"):
            champions.setdefault(row["kind"], row["model_id"])
    trials = reading.rows_now(f"SELECT * FROM trials ORDER BY run DESC, trial_id DESC LIMIT {MOST}")
    runs = reading.rows(f"SELECT * FROM runs WHERE state = 'done' AND {_IS_EDIT} ORDER BY attempt_id DESC LIMIT {MOST}")[::-1]
    return answers.Models(
        snapshot=reading.snapshot_id, champions=champions, policy=_policy(reading), trials=[_trial(row) for row in trials], postmortems=_postmortems(reading),
        promotions=[answers.PromotionRow(**{name: row[name] for name in answers.PromotionRow.model_fields}) for row in with_edits(promotions, runs)],
    )  # fmt: skip


def _policy(reading: Reading) -> str:
    try:
        return in_force.told(reading.home) if reading.snapshot_id else ""
    except BadInput as error:  # from this page it is rolled back
        return error.sentence()


def loops(reading: Reading) -> answers.Loops:
    """Reported problems: open ones from the oldest on, then closed ones from the newest on."""
    reading.bring_up()
    rows = reading.rows(f"SELECT * FROM loops WHERE duplicate_of IS NULL ORDER BY closed_at IS NOT NULL, closed_at DESC, opened_at, loop_id LIMIT {MOST}")
    newest = _newest(reading)
    counted = "SELECT count(*) FILTER (closed_at IS NULL) AS open, count(closed_at) AS closed FROM loops WHERE duplicate_of IS NULL"
    found = reading.row(counted) or {"open": 0, "closed": 0}
    return answers.Loops(snapshot=reading.snapshot_id, loops=[_loop(row, newest) for row in rows], open=found["open"], closed=found["closed"])


def loop(reading: Reading, loop_id: int) -> answers.LoopPage:
    """One reported problem. Raises NotFound."""
    reading.bring_up()
    row = reading.row("SELECT * FROM loops WHERE loop_id = ?", [loop_id])
    if row is None:
        raise NotFound(f"there is no loop {loop_id}", "every reported problem is listed at /loops")
    return answers.LoopPage(snapshot=reading.snapshot_id, loop=_loop(row, _newest(reading)), replay=json.loads(row["replay_json"] or "{}"))


def switches(reading: Reading) -> answers.Switches:
    """The newest word of each scope, and open alarms from the newest on."""
    reading.bring_up()
    rows = reading.rows("SELECT * FROM switches QUALIFY row_number() OVER (PARTITION BY scope ORDER BY switch_id DESC) = 1 ORDER BY automation, scope")
    alarms = reading.rows(f"SELECT * FROM alarms WHERE closed_at IS NULL ORDER BY alarm_id DESC LIMIT {MOST}")
    return answers.Switches(
        snapshot=reading.snapshot_id, switches=[answers.SwitchRow(**{name: row[name] for name in answers.SwitchRow.model_fields}) for row in rows],
        alarms=[answers.AlarmRow(**{name: row[name] for name in answers.AlarmRow.model_fields}) for row in alarms],
    )  # fmt: skip


def _proposal(row: dict[str, Any]) -> answers.ProposalRow:
    return answers.ProposalRow(**{name: row[name] for name in answers.ProposalRow.model_fields})


def _postmortems(reading: Reading, condition: str = "", values: Any = ()) -> list[answers.PostmortemRow]:
    rows = reading.rows(f"SELECT * FROM postmortems {condition} ORDER BY closed_at IS NOT NULL, postmortem_id DESC LIMIT {MOST}", values)
    return [answers.PostmortemRow(**{name: row[name] for name in answers.PostmortemRow.model_fields}) for row in rows]


def _trial(row: dict[str, Any]) -> answers.TrialRow:
    figures = json.loads(row["figures_json"] or "{}")
    told = {name: row[name] for name in ("trial_id", "challenger", "champion", "labels", "data_version", "verdict")}
    return answers.TrialRow(**told, n=figures.get("n", 0), challenger_right=figures.get("challenger_right"), champion_right=figures.get("champion_right"))


def _slices(judgement: dict[str, Any]) -> list[answers.SliceRow]:
    """All of it first, then part by part."""
    named = (("right, by machine", judgement.get("right")), ("not wrong", judgement.get("safe")))
    parts = [(f"{one['by'].replace('_', ' ')}: {one['name']}", one) for one in [*judgement.get("slices", []), judgement.get("rest")] if one]
    return [
        answers.SliceRow(
            slice=name, n=one["n"], champion=one["champion_rate"] if one["n"] else None, challenger=one["challenger_rate"] if one["n"] else None,
            low=one["low"] if one["n"] else None, high=one["high"] if one["n"] else None, needed=one["needed"], result=one["state"],
        ) for name, one in [*named, *parts] if one
    ]  # fmt: skip


def _changed(one: dict[str, Any]) -> answers.ChangedDecision:
    told = {name: _side(one[name]) for name in ("champion", "challenger")}
    return answers.ChangedDecision(offer_id=one["offer_id"], title=one["title"], before=told["champion"], after=told["challenger"])


def _side(ruling: dict[str, Any]) -> str:
    product = f" in {ruling['product_id']}" if ruling.get("product_id") else ""
    other = f", beside {ruling['counterpart_title']}" if ruling.get("counterpart_title") else ""
    return f"{ruling['action'].replace('_', ' ')}{product}{other}"


def _newest(reading: Reading) -> str | None:
    """The newest time that the tables know, so that an open loop's age is the same for everybody who reads this version."""
    return (reading.row("SELECT max(finished_at) AS newest FROM runs") or {}).get("newest")


def _loop(row: dict[str, Any], newest: str | None) -> answers.LoopRow:
    state = next((one for one in LOOP_STATES if row[f"{one}_at"]), "open")
    until = row["closed_at"] or (max(newest, row["opened_at"]) if newest else None)
    days = (datetime.fromisoformat(until) - datetime.fromisoformat(row["opened_at"])).total_seconds() / 86_400 if until else None
    named = {name: row[name] for name in answers.LoopRow.model_fields if name not in ("state", "days")}
    return answers.LoopRow(**named, state=state, days=days)
