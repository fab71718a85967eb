"""Generated supplier worlds with known truth and planted faults: for the demo, tests and scale runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from endcap.sandbox.offer import SentOffer

FIRST_DAY = date(2026, 3, 2)
HIJACKS_MOST = 40


@dataclass(frozen=True)
class World:
    """A world as written: its folder, and what a caller needs to run and judge a catalog on it."""

    folder: Path
    seed: int
    offers_per_day: dict[str, int]
    dates: list[str]
    suppliers: list[str]
    incidents: list[dict[str, Any]]


def make(folder: Path, *, offers: int = 6000, days: int = 4, seed: int = 7, incidents: bool = True, change_share: float | None = None) -> World:
    """Write a world of about `offers` offers on the first of `days` days into `folder`.

    Gives inbox/{date}/, endcap.yaml, taxonomy.csv, truth/offers.csv and truth/incidents.json, byte for byte the same for the
    same arguments. With `change_share` each day differs from the one before in this share of offers and nothing else.
    Raises ValueError where a number makes no sense.
    """
    from endcap.sandbox import assortment, deliveries, describe
    from endcap.sandbox.incidents import plan as plan_incidents
    from endcap.sandbox.suppliers import SUPPLIERS

    if offers < 1 or days < 1 or not 0 <= (change_share or 0) <= 1:
        raise ValueError(f"a world needs offers >= 1, days >= 1 and a change share from 0 to 1 (given: {offers}, {days}, {change_share})")
    dates = [(FIRST_DAY + timedelta(day)).isoformat() for day in range(days)]
    planned = plan_incidents(dates) if incidents else []
    churn = assortment.Churn() if change_share is None else assortment.Churn.of_share(change_share)
    plan = deliveries.Plan(seed, assortment.products_for(seed, offers), tuple(dates), churn, tuple(planned), min(HIJACKS_MOST, max(4, offers // 2000)))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "endcap.yaml").write_text(describe.settings_text(), encoding="utf-8")
    (folder / "taxonomy.csv").write_text(describe.taxonomy_text(), encoding="utf-8")
    counts = deliveries.write(plan, folder)
    return World(folder, seed, counts, dates, [supplier.name for supplier in SUPPLIERS], [incident.row() for incident in planned])


def sent_offers(*, offers: int = 6000, seed: int = 7) -> Iterator[tuple[str, SentOffer]]:
    """The first day of `make`'s world without files: (feed, offer with its texts as sent and its truth), supplier after supplier."""
    from endcap.sandbox import assortment, deliveries

    plan = deliveries.Plan(seed, assortment.products_for(seed, offers), (FIRST_DAY.isoformat(),), assortment.Churn(), (), 0)
    return deliveries.first_day(plan)
