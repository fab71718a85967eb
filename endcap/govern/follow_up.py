"""What follows a run: promises that have come due are compared, and loops move on by what the snapshot shows."""

from __future__ import annotations

from typing import Any

from endcap.govern import evidence
from endcap.govern.confirmations import UNKNOWN, confirm_due
from endcap.govern.loops import advance
from endcap.govern.proposals import proposal
from endcap.learn.labels import hold_flagged
from endcap.ops.home import Home

NEVER = (
    ": it had no figure when this was promoted, so that the promise can never be compared. Judge it by hand; a next proposal needs a metric that has a "
    "figure when it is promoted, which audits give"
)


def follow_up(home: Home, *, changed: bool) -> list[str]:
    """Done at the end of every run; where it `changed` nothing only what a calendar brings. Out: what a person should know, in words."""
    told = [f"proposal {one['proposal_id']}: {one['outcome']}; {one['words']}" for one in promises_due(home)]
    return told + (advance(home) if changed else [])


def promises_due(home: Home) -> list[dict[str, Any]]:
    """Compare promise and outcome of what was promoted long enough ago; by the answers of nobody who is flagged, where the settings say so."""
    hold_flagged(home)
    told = confirm_due(home)
    return [{**one, "words": one["words"] + (NEVER if _had_no_figure(home, one) else "")} for one in told]


def _had_no_figure(home: Home, told: dict[str, Any]) -> bool:
    """Whether a promise is not evaluable for good: its metric had no value when it was promoted, so that there is nothing to compare with."""
    if told["outcome"] != UNKNOWN:
        return False
    row = proposal(home, told["proposal_id"])
    with home.engine.connect() as connection:
        steps = evidence.sealed_steps(connection, row["proposal_id"])
    before: dict[str, Any] = next((step["before"] for step in reversed(steps) if step["state"] == "promoted" and step.get("before")), {})
    named = (figure for name, figure in before.items() if row["metric"] in (name, name.split(".")[0]))
    return all(figure["value"] is None for figure in named)
