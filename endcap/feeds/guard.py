"""The budgets of a delivery and what a person should know of it, in words with numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from endcap.feeds.mapping import CONTENT, LEVELS
from endcap.feeds.sorting import Known, Sorted
from endcap.settings import Feed

pc: Any = compute  # its type stubs do not know chunked arrays
KEY_FIELDS = ("title", "price")
FACTOR_OF_A_PRICE_MOVE = 3.0
SHARED_WORDS = 0.5  # titles that share less of their words are another title
IDENTIFIERS = ("gtin", "mpn")  # few offers may state them, and each says which goods it is: counted among those that state it
DESCRIBED = ("brand", "category_path", "available")  # counted among all known offers
FIELD_WORDS = {"gtin": "GTIN", "mpn": "part number", "brand": "brand", "category_path": "category", "available": "availability"}
WORD = re.compile(r"[^\W_]+")


def exceeded(name: str, feed: Feed, before: Known, result: Sorted, *, released: bool) -> list[str]:
    """The budgets this delivery is over, one clause each. A release lifts them all, but never lets a delivery without any offer in."""
    counts = result.counts()
    if released and counts["offers"]:
        return []
    over = _quarantined(feed, result, counts)
    if before.live_count < feed.guards.min_offers or not before.has_offers:
        return over
    over += _volume(feed, before, counts)
    over += _field_loss(feed, before, result)
    over += _price_moves(feed, before, result)
    over += _identity_changes(feed, before, result)
    over += _field_changes(feed, before, result)
    return over


def stated(column: str, before: Known, result: Sorted) -> tuple[int, int]:
    """How many live offers stated a content column before this delivery, and how many do after it."""
    old = before.offers[column]
    live = int(pc.sum(pc.is_valid(old.filter(pa.array(before.live)))).as_py() or 0) if before.has_offers else 0
    rows = np.concatenate([result.same, result.revived])
    fresh = result.decoded[column].take(np.concatenate([result.new, result.changed]))
    return live, _valid(old.take(rows)) + _valid(fresh)


def _valid(values: pa.ChunkedArray[Any]) -> int:
    return len(values) - values.null_count


def percent(share: float) -> str:
    """A share in words that stay true at the ends: 0 % and 100 % only when exact."""
    percent = round(100 * share)
    if percent == 0 and share > 0:
        return "under 1 %"
    return "over 99 %" if percent == 100 and share < 1 else f"{percent} %"


def _quarantined(feed: Feed, result: Sorted, counts: dict[str, int]) -> list[str]:
    share = counts["quarantined"] / result.read
    if share <= feed.guards.max_quarantined or (result.read < feed.guards.min_offers and counts["accepted"]):
        return []
    codes = result.codes()
    causes = ", ".join(f"{count:,} {code}" for code, count in codes[:3])
    return [f"{counts['quarantined']:,} of them ({percent(share)}) break the contract ({causes}; budget {percent(feed.guards.max_quarantined)})"]


def _volume(feed: Feed, before: Known, counts: dict[str, int]) -> list[str]:
    over, live = [], before.live_count
    lost = counts["vanished"] / live
    if lost > feed.guards.max_drop:
        over.append(f"{counts['vanished']:,} of {live:,} known offers are missing ({percent(lost)}, budget {percent(feed.guards.max_drop)})")
    if counts["offers"] > feed.guards.max_growth * live:
        over.append(f"they are {counts['offers'] / live:.1f} times the {live:,} known offers (budget {feed.guards.max_growth:g} times)")
    return over


def _field_loss(feed: Feed, before: Known, result: Sorted) -> list[str]:
    over = []
    for label, was, now in field_losses(feed, before, result):
        if is_key(feed, label):
            over.append(f"{percent(now)} state {with_article(label)}, last time {percent(was)}")
    return over


def is_key(feed: Feed, label: str) -> bool:
    """Whether the loss of a field holds the delivery; the loss of others is only told."""
    return label in KEY_FIELDS or label in feed.require


def with_article(label: str) -> str:
    """A field's name in a sentence."""
    return f"an {label}" if label[0] in "aeiou" or label == "mpn" else label if label in ("details", "available") else f"a {label}"


def field_losses(feed: Feed, before: Known, result: Sorted) -> list[tuple[str, float, float]]:
    """Mapped fields whose share of stating offers fell by more than the budget: field, share before, share now."""
    offers, losses = result.counts()["offers"], []
    if not (before.live_count and offers):
        return []
    for column, label in CONTENT.items():
        had, has = stated(column, before, result)
        was, now = had / before.live_count, has / offers
        if was - now > feed.guards.max_field_loss:
            losses.append((label, was, now))
    return losses


def _price_moves(feed: Feed, before: Known, result: Sorted) -> list[str]:
    """Counted against all offers that keep their id, so that unchanged ones weigh too."""
    old = _floats(before.offers["price"].take(result.changed_from))
    new = _floats(result.decoded["price"].take(result.changed))
    both = ~np.isnan(old) & ~np.isnan(new)
    factor = np.maximum(new[both] / old[both], old[both] / new[both])
    moved, compared = int((factor > FACTOR_OF_A_PRICE_MOVE).sum()), int(both.sum()) + len(result.same)
    if not compared or moved / compared <= feed.guards.max_price_change:
        return []
    budget = percent(feed.guards.max_price_change)
    return [f"the prices of {moved:,} of {compared:,} known offers moved by more than a factor of {FACTOR_OF_A_PRICE_MOVE:g} (budget {budget})"]


def _identity_changes(feed: Feed, before: Known, result: Sorted) -> list[str]:
    old: list[Any] = before.offers["title"].take(result.changed_from).to_pylist()
    new: list[Any] = result.decoded["title"].take(result.changed).to_pylist()
    renamed, compared = sum(map(is_another_title, old, new)), len(result.changed) + len(result.same)
    if not compared or renamed / compared <= feed.guards.max_identity_change:
        return []
    return [f"{renamed:,} of {compared:,} known ids come with another title (budget {percent(feed.guards.max_identity_change)})"]


def is_another_title(old: str, new: str) -> bool:
    """Whether two titles share less than half of their words."""
    left, right = set(old.casefold().split()), set(new.casefold().split())
    return left != right and len(left & right) < SHARED_WORDS * max(len(left), len(right))


def _field_changes(feed: Feed, before: Known, result: Sorted) -> list[str]:
    """Changes to another value; a value that is lost is the loss of a field. So few identifiers that one says little are not judged."""
    over, budget, kept = [], feed.guards.max_field_change, len(result.changed) + len(result.same)
    for column in (*IDENTIFIERS, *DESCRIBED):
        old: list[Any] = before.offers[column].take(result.changed_from).to_pylist()
        new: list[Any] = result.decoded[column].take(result.changed).to_pylist()
        both = [(was, now) for was, now in zip(old, new, strict=True) if was is not None and now is not None]
        moved = sum(is_another_value(column, was, now) for was, now in both)
        compared = len(both) + _valid(before.offers[column].take(result.same)) if column in IDENTIFIERS else kept
        if not compared or moved / compared <= budget or (column in IDENTIFIERS and compared < feed.guards.min_offers):
            continue
        known = f"{compared:,} known offers" + (" that state one" if column in IDENTIFIERS else "")
        over.append(f"{moved:,} of {known} come with another {FIELD_WORDS[column]} ({percent(moved / compared)}, budget {percent(budget)})")
    return over


def is_another_value(column: str, old: Any, new: Any) -> bool:
    """Whether two stated values say different things; case and marks say nothing.

    A category is another one when its last level shares no word with the whole old path: shops rename and regroup theirs all the time.
    """
    if old == new or isinstance(new, bool):
        return bool(old != new)
    left, right = (WORD.findall(value.casefold()) for value in (old, new))
    if column == "category_path":
        right = WORD.findall(new.casefold().rsplit(LEVELS, 1)[-1])
        return not set(left) & set(right)
    return "".join(left) != "".join(right)


def _floats(prices: pa.ChunkedArray[Any]) -> np.ndarray:
    return np.asarray(pc.cast(prices, pa.float64()).to_numpy(), dtype=np.float64)
