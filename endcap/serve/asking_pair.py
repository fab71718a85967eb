"""Two offers together: why they are, or are not, one product."""

from __future__ import annotations

import threading
from dataclasses import asdict

from starlette.exceptions import HTTPException

from endcap.decide.between import explain_between
from endcap.serve import answers
from endcap.serve.asking import NotFound
from endcap.serve.reading import Reading

# A pair that no run compared is looked up in the index of the whole catalog: one at a time bounds the memory.
_ONE_AT_A_TIME = threading.Lock()


def pair(reading: Reading, left: str, right: str) -> answers.OfferPair:
    """Two offers by their ids, in either order. Raises NotFound, and HTTPException 422 when both are one."""
    if left == right:
        raise HTTPException(422, "an offer cannot be compared with itself")
    for offer_id in (left, right):
        if reading.row("SELECT 1 AS one FROM offers_log WHERE offer_id = ? LIMIT 1", [offer_id]) is None:
            raise NotFound(f"there is no offer {offer_id!r}", "its id is the feed's name, a colon and the supplier's own id")
    with _ONE_AT_A_TIME:
        found = asdict(explain_between(reading.home, left, right, reading.snapshot_id))
    return answers.OfferPair(snapshot=reading.snapshot_id, **{name: found[name] for name in answers.OfferPair.model_fields if name != "snapshot"})
