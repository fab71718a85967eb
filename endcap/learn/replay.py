"""Deciding again in memory: what would become of offers under other scores or another policy, and which decisions change side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from endcap.decide.deciding import Ruling, rule
from endcap.decide.inputs import read_inputs
from endcap.decide.promised import Thresholds
from endcap.settings import Policy

SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Sides:
    """How many offers were decided twice, which of them came to lie elsewhere, and some of those to look at."""

    offers: int
    changed: int
    by: Mapping[str, int]  # 'linked -> to_review': so many
    samples: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        return {"offers": self.offers, "changed": self.changed, "by": dict(self.by), "samples": [dict(one) for one in self.samples]}


def replay(
    con: duckdb.DuckDBPyConnection, policy: Policy, allowed: Thresholds, *, open_ids: pa.Array, overrides: pa.Table, answered_after: int = 0, today: str = ""
) -> dict[str, Ruling]:
    """A ruling for every open offer and those reopened with it, by what `con` shows; nothing is written."""
    inputs = read_inputs(con, open_ids, open_ids, overrides, policy, answered_after=answered_after, today=today)
    return rule(inputs, policy, allowed)


def changed_sides(con: duckdb.DuckDBPyConnection, was: Mapping[str, Ruling], now: Mapping[str, Ruling]) -> Sides:
    """Offers of which something else would become: another action, or another product."""
    both = was.keys() & now.keys()
    changed = sorted(offer_id for offer_id in both if _side(was[offer_id]) != _side(now[offer_id]))
    counts = Counter(f"{was[offer_id].action} -> {now[offer_id].action}" for offer_id in changed)
    con.register("changed_offers", pa.table({"offer_id": pa.array(changed, pa.string())}))
    drawn = con.execute(f"""
        SELECT offer_id, supplier, title FROM offers SEMI JOIN changed_offers USING (offer_id) ORDER BY md5(offer_id), offer_id LIMIT {SAMPLES}
    """).fetchall()
    titles = _titles(con, [one for row in drawn for one in (was[row[0]].counterpart_offer_id, now[row[0]].counterpart_offer_id) if one])
    samples = tuple(
        {"offer_id": offer_id, "supplier": supplier, "title": title, "champion": _told(was[offer_id], titles), "challenger": _told(now[offer_id], titles)}
        for offer_id, supplier, title in drawn
    )
    return Sides(len(both), len(changed), dict(sorted(counts.items())), samples)


def _side(ruling: Ruling) -> tuple[str, str | None]:
    return ruling.action, ruling.product_id


def _told(ruling: Ruling, titles: Mapping[str, str]) -> dict[str, Any]:
    other = ruling.counterpart_offer_id
    return {
        "action": ruling.action, "product_id": ruling.product_id, "confidence": ruling.confidence, "reason": ruling.reason,
        "counterpart_offer_id": other, "counterpart_title": titles.get(other or ""),
    }  # fmt: skip


def _titles(con: duckdb.DuckDBPyConnection, offer_ids: list[str]) -> dict[str, str]:
    con.register("named_offers", pa.table({"offer_id": pa.array(sorted(set(offer_ids)), pa.string())}))
    return dict(con.execute("SELECT offer_id, title FROM offers SEMI JOIN named_offers USING (offer_id)").fetchall())
