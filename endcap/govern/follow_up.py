"""What follows a run: promises that have come due are compared, and loops move on by what the snapshot shows."""

from __future__ import annotations

from typing import Any

from endcap.govern.confirmations import confirm_due
from endcap.govern.loops import advance
from endcap.learn.labels import hold_flagged
from endcap.ops.home import Home


def follow_up(home: Home, *, changed: bool) -> list[str]:
    """Done at the end of every run; where it `changed` nothing only what a calendar brings. Out: what a person should know, in words."""
    told = [f"proposal {one['proposal_id']}: {one['outcome']}; {one['words']}" for one in promises_due(home)]
    return told + (advance(home) if changed else [])


def promises_due(home: Home) -> list[dict[str, Any]]:
    """Compare promise and outcome of what was promoted long enough ago; by the answers of nobody who is flagged, where the settings say so."""
    hold_flagged(home)
    return confirm_due(home)
