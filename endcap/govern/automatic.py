"""Proposals that endcap writes by itself: what a better challenger would change, in one sentence that can be wrong."""

from __future__ import annotations

import json
from typing import Any

from endcap.govern.proposal_files import Head
from endcap.govern.proposals import NEXT, OWN, all_proposals, propose, supersede
from endcap.learn.train import TrainResult
from endcap.ops.database import writing
from endcap.ops.home import Home
from endcap.ops.tables import PROMOTIONS

NEEDED = 256
WATCHED = ("override_rate", "match_rate")


def propose_trained(home: Home, result: TrainResult) -> dict[str, Any]:
    """Write a proposal to promote a challenger that was better; the one that speaks for it already, where there is one.

    endcap's own earlier ones that are open end: this one took their place.
    """
    kind = str(getattr(result, "kind", "match"))
    for row in all_proposals(home):
        if row["artefact"] == result.model_id and NEXT[row["state"]] and row["artefact_kind"] == kind:
            return row
    proposed = propose(home, _head(home, result, kind), actor=OWN, body=_body(result), automatic=True)
    with writing(home.engine) as connection:
        supersede(home, kind, by=proposed["proposal_id"], actor=OWN, connection=connection, automatic_only=True)
    return proposed


def _head(home: Home, result: TrainResult, kind: str) -> Head:
    figures = result.figures
    wrong = [100 * (1 - figures[f"{who}_right"] / figures["n"]) for who in ("champion", "challenger")]
    number, new = _retrain(home, kind), _new_answers(home, result, kind)
    outcome = (
        f"let wrong answers fall from {wrong[0]:.1f} % to {wrong[1]:.1f} %"
        if wrong[1] < wrong[0]
        else "leave as few answers wrong and be surer of the right ones"
    )
    return Head(
        kind="model", title=f"retrain {number}", owner=OWN, artefact=result.model_id, artefact_kind="infer" if kind == "infer" else "match",
        hypothesis=f"We believe that retrain {number} for everything will {outcome} because {new:,} answers are new.",
        change=f"put {result.model_id}, trained on {result.labels:,} answers, in the place of {result.champion}", metric="automated_success.success",
        smallest_effect=0.5, guard_rails=list(WATCHED), plan="replay on the audited decisions, paired, then in production", needed=NEEDED,
        rollback_trigger="escapes or overrides rise beyond their interval in a slice that can be judged",
        evidence=f"right on {figures['challenger_right']} of {figures['n']} answers it had not seen, the champion on {figures['champion_right']}",
    )  # fmt: skip


def _body(result: TrainResult) -> str:
    return "endcap wrote this after training.\n\n" + "\n".join(f"- {name}: {json.dumps(value)}" for name, value in sorted(result.figures.items()))


def _retrain(home: Home, kind: str) -> int:
    """The how manieth retraining that was proposed."""
    return 1 + sum(row["automatic"] and row["artefact_kind"] == kind for row in all_proposals(home))


def _new_answers(home: Home, result: TrainResult, kind: str) -> int:
    """Answers that came since the champion was promoted; all, where endcap fitted it without any."""
    rows = [row for row in home.rows(PROMOTIONS).to_pylist() if row["kind"] == kind and row["model_id"] == result.champion and row["proposal_id"] is not None]
    if not rows:
        return result.labels
    with home.connect() as con:
        found = con.execute("SELECT count(*) FROM labels WHERE run > (SELECT run FROM snapshots WHERE snapshot_id = ?)", [rows[-1]["data_version"]]).fetchone()
    return int(found[0]) if found else result.labels
