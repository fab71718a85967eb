"""What a person should know of a delivery though nothing was held: one sentence each."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from endcap import gtin
from endcap.feeds.guard import field_losses, is_key, percent, stated, with_article
from endcap.feeds.sorting import Known, Sorted
from endcap.settings import Feed

ENOUGH_OFFERS = 20
VOLUME_CHANGE = 0.25
REPEATS_FROM = 0.01
ROUND_COUNT = 1_000
MPN_LOSS = 0.2
ENOUGH_BRANDS = 20
JUNK_SHARE = 0.3
# A price or a date inside a brand: two figures after a mark ('1.39', '0,95'), or day and month.
FIGURES = re.compile(r"\d+[.,]\d\d(?!\d)|\b\d{1,2}[./]\d{1,2}[./]|\b\d{4}-\d\d-\d\d\b")
SENTENCE_WORDS = 6


def notices(feed: Feed, before: Known, result: Sorted) -> list[str]:
    """Sentences on repeats, kept offers, refused GTINs, a round count, junk in the brand, and fields that are stated less often."""
    counts = result.counts()
    said = []
    if result.repeated and result.repeated >= REPEATS_FROM * result.read:
        said.append(f"{result.repeated:,} of {result.read:,} records repeat another record")
    if len(result.kept):
        said.append(f"{len(result.kept):,} known offers keep their last good version, since their new record is quarantined")
    if result.read >= ROUND_COUNT and result.read % ROUND_COUNT == 0:
        said.append(f"it holds exactly {result.read:,} records: the supplier may cut its deliveries there")
    said += _volume(before, counts["offers"])
    said += _junk_brands(before, result)
    said += _refused_gtins(result)
    said += _losses(feed, before, result, counts["offers"])
    return said


def _volume(before: Known, offers: int) -> list[str]:
    """A change in size that is within budget and still worth a look, also where most offers are new every time."""
    if before.live_count < ENOUGH_OFFERS or abs(offers - before.live_count) < VOLUME_CHANGE * before.live_count:
        return []
    more_or_fewer = "more" if offers > before.live_count else "fewer"
    return [f"{offers:,} offers after {before.live_count:,} last time ({percent(abs(offers / before.live_count - 1))} {more_or_fewer})"]


def _junk_brands(before: Known, result: Sorted) -> list[str]:
    rows = np.concatenate([result.same, result.revived])
    parts = [before.offers["brand"].take(rows), result.decoded["brand"].take(np.concatenate([result.new, result.changed]))]
    brands = _unique_counts(pa.chunked_array([chunk for part in parts for chunk in part.chunks], pa.string()))
    total = sum(brands.values())
    if total < ENOUGH_BRANDS:
        return []
    junk = {brand: count for brand, count in brands.items() if is_no_brand(brand)}
    if sum(junk.values()) < JUNK_SHARE * total:
        return []
    examples = ", ".join(repr(brand) for brand in sorted(junk, key=lambda brand: (-junk[brand], brand))[:3])
    return [f"brand is not a brand: {sum(junk.values()):,} of {total:,} look like prices, dates or sentences ({examples}); map it with `ignore`, or not at all"]


def is_no_brand(brand: str) -> bool:
    """Whether a brand's text is a number, holds a price or date, or is as long as a sentence."""
    return brand.replace(".", "").replace(",", "").isdigit() or bool(FIGURES.search(brand)) or len(brand.split()) > SENTENCE_WORDS


def _unique_counts(values: pa.ChunkedArray[Any]) -> Counter[str]:
    counted: Any = values.drop_null().value_counts()
    return Counter({one["values"]: one["counts"] for one in counted.to_pylist()})


def _refused_gtins(result: Sorted) -> list[str]:
    refused = _unique_counts(result.decoded["gtin_refused"].take(np.concatenate([result.new, result.changed])))
    if not refused:
        return []
    causes = ", ".join(f"{refused[reason]:,} because {words}" for reason, words in gtin.REASONS.items() if refused[reason])
    return [f"{refused.total():,} GTINs of new or changed offers are not used: {causes}"]


def _losses(feed: Feed, before: Known, result: Sorted, offers: int) -> list[str]:
    """Fields stated less often. Part numbers are evidence for matching, so that their loss is told earlier than others'."""
    losses = {label: (was, now) for label, was, now in field_losses(feed, before, result) if not is_key(feed, label)}
    if before.live_count and offers:
        had, has = stated("mpn", before, result)
        if had / before.live_count - has / offers > MPN_LOSS:
            losses["mpn"] = had / before.live_count, has / offers
    return [f"{percent(now)} of the offers state {with_article(label)}, last time {percent(was)}" for label, (was, now) in losses.items()]
