"""What goes wrong in a world, on which day, and what a good catalog does about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

RENAMED = {"product_id": "ProductID", "name": "ProductName", "price": "PriceGross", "barcode": "EAN13"}
ERROR_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><title>503 Service Temporarily Unavailable</title></head>
<body><center><h1>503 Service Temporarily Unavailable</h1></center><hr><center>nginx</center></body></html>
"""


@dataclass
class Incident:
    """One thing that goes wrong. `expected` is what a good catalog does: held, quarantined, review or warning."""

    date: str
    feed: str
    kind: str
    sentence: str
    expected: str
    day: int
    offers: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """As written to truth/incidents.json."""
        return asdict(self)


# (day, feed, kind, sentence, expected); days count from 0, the first delivery is always clean.
PLAN: tuple[tuple[int, str, str, str, str], ...] = (
    (1, "fitstreet", "schema_change", "The shop plug-in was updated and four columns have new names, the id, the title and the price among them.", "held"),
    (1, "brightcart", "error_page", "The server answered with an HTML error page, which was saved as the feed.", "held"),
    (2, "markthalle", "drop", "Nine of ten products are missing; the export stopped early.", "held"),
    (2, "harbor-wholesale", "no_mpn", "From this day on the supplier sends no part numbers.", "warning"),
    (3, "bazaar-one", "hijack", "Some offers show the GTIN of a popular product and sell other goods at a far lower price.", "review"),
)


def plan(dates: list[str]) -> list[Incident]:
    """The incidents that fit into these days; with too few days for all, the hijack moves to the last."""
    found = []
    for day, feed, kind, sentence, expected in PLAN:
        actual = min(day, len(dates) - 1) if kind == "hijack" else day
        if 0 < actual < len(dates):
            found.append(Incident(dates[actual], feed, kind, sentence, expected, actual))
    return found
