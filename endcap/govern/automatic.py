"""Proposals that endcap writes by itself: what a better challenger would change, in one sentence that can be wrong."""

from __future__ import annotations

import json
from typing import Any

from endcap.govern.proposal_files import Head
from endcap.govern.proposals import NEXT, all_proposals, propose, supersede
from endcap.learn.train import TrainResult
from endcap.ops.database import writing
from endcap.ops.home import Home
from endcap.ops.names import OWN
from endcap.ops.tables import PROMOTIONS

NEEDED = 256
SMALLEST_EFFECT = 0.5  # points
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
    most = _most_mended(figures)
    reason = f"{new:,} answers are new"
    if most is not None:
        category, told = most
        rates = [100 * told[f"{who}_wrong"] / told["n"] for who in ("champion", "challenger")]
        outcome += f", most of all in {category} from {rates[0]:.1f} % to {rates[1]:.1f} % of {told['n']}"
        reason += f", {_new_answers(home, result, kind, category):,} of them there"
    fewer = wrong[0] - wrong[1] >= SMALLEST_EFFECT
    return Head(
        kind="model", title=f"retrain {number}", owner=OWN, artefact=result.model_id, artefact_kind="infer" if kind == "infer" else "match",
        hypothesis=f"We believe that retrain {number} for everything will {outcome} because {reason}.",
        change=f"put {result.model_id}, trained on {result.labels:,} answers, in the place of {result.champion}",
        metric=f"automated_success.{'success' if fewer else 'yield'}",
        smallest_effect=SMALLEST_EFFECT, guard_rails=list(WATCHED), plan="replay on the audited decisions, paired, then in production", needed=NEEDED,
        rollback_trigger="escapes or overrides rise beyond their interval in a slice that can be judged",
        evidence=f"right on {figures['challenger_right']} of {figures['n']} answers it had not seen, the champion on {figures['champion_right']}",
    )  # fmt: skip


def _body(result: TrainResult) -> str:
    return "endcap wrote this after training.\n\n" + "\n".join(f"- {name}: {json.dumps(value)}" for name, value in sorted(result.figures.items()))


def _retrain(home: Home, kind: str) -> int:
    """The how manieth retraining that was proposed."""
    return 1 + sum(row["automatic"] and row["artefact_kind"] == kind for row in all_proposals(home))


def _most_mended(figures: dict[str, Any]) -> tuple[str, dict[str, int]] | None:
    """The category in which the challenger mends the most answers; None where it mends more in none."""
    mended = {name: told["champion_wrong"] - told["challenger_wrong"] for name, told in figures.get("by_category", {}).items()}
    best = max(sorted(mended), key=lambda name: mended[name], default=None)
    return (best, figures["by_category"][best]) if best is not None and mended[best] > 0 else None


def _new_answers(home: Home, result: TrainResult, kind: str, category: str | None = None) -> int:
    """Answers, of one category or all, that came since the champion was promoted; every one, where endcap fitted it without any."""
    rows = [row for row in home.rows(PROMOTIONS).to_pylist() if row["kind"] == kind and row["model_id"] == result.champion and row["proposal_id"] is not None]
    if not rows and category is None:
        return result.labels
    since = rows[-1]["data_version"] if rows else ""
    with home.connect() as con:
        ((count,),) = con.execute("""
            SELECT count(*) FROM labels l LEFT JOIN facts f ON f.offer_id = l.left_id AND f.attribute = 'category'
            WHERE l.run > coalesce((SELECT run FROM snapshots WHERE snapshot_id = $since), -1) AND ($category IS NULL OR f.value = $category)
              AND (l.source IN ('override', 'second', 'gold') OR $category IS NULL AND l.source <> 'audit')
        """, {"since": since, "category": category}).fetchall()  # fmt: skip
    return int(count)
