"""Splits of labels into those that teach and those that judge, so that nothing that is judged was seen before.

Whole products go to one side: pairs that share an offer, a product or a text are one group. Split by time, the newest labels judge what the
older ones taught, as it will be in production. `refuse_leaks` checks a split whoever made it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from endcap.decide.promised import HELD
from endcap.problems import BadInput
from endcap.text import fold

LATER_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Ties:
    """What makes two offers one to a split: the product they belong to, the text they share; and what may not teach at all."""

    product_of: Mapping[str, str] = field(default_factory=dict)
    text_of: Mapping[str, str] = field(default_factory=dict)
    undone: Set[str] = frozenset()  # ids of overrides that were taken back
    held: Set[str] = frozenset()  # people whose answers are held back
    offers: Set[str] | None = None  # that the catalog has; None: not asked
    run: int | None = None  # of the data version: later labels are not of it; None: not asked


# Where somebody who is held back put an offer ties it to nothing.
_TIED = f"""
    SELECT t.offer_id, d.product_id, o.title, o.brand, o.quantity_text, o.mpn, o.offer_id IS NOT NULL FROM tied t LEFT JOIN offers o USING (offer_id)
    LEFT JOIN (SELECT * FROM decisions WHERE kind = 'product') d ON d.offer_id = t.offer_id
      AND coalesce(d.override_id NOT IN (SELECT override_id FROM overrides WHERE actor IN ({HELD})), true)
    ORDER BY t.offer_id
"""


def read_ties(con: duckdb.DuckDBPyConnection, offer_ids: Iterable[str], run: int) -> Ties:
    """The ties of these offers as a catalog's tables say."""
    con.register("tied", pa.table({"offer_id": pa.array(sorted(set(offer_ids)), pa.string())}))
    rows = con.execute(_TIED).fetchall()
    text_of = {row[0]: text_of_offer(*row[2:6]) for row in rows if row[6]}
    undone = {str(row[0]) for row in con.execute("SELECT undoes FROM overrides WHERE undoes IS NOT NULL").fetchall()}
    held = {row[0] for row in con.execute(HELD).fetchall()}
    return Ties({row[0]: row[1] for row in rows if row[1]}, text_of, undone, held, {row[0] for row in rows if row[6]}, run)


def text_of_offer(title: str | None, brand: str | None, quantity: str | None, mpn: str | None) -> str:
    """What an offer says, folded: two with the same text are one to any model."""
    return " | ".join(" ".join(fold(part).split()) if part else "" for part in (title, brand, quantity, mpn))


@dataclass(frozen=True, slots=True)
class Groups:
    """The group of the left and of the right offer of each pair, int64 [n] each: offers of two groups share no product, no text and no 'same'."""

    left: np.ndarray
    right: np.ndarray


def groups_of(left: list[str], right: list[str], same: list[bool], ties: Ties) -> Groups:
    """Which offers must stay on one side of any split."""
    parent: dict[Hashable, Hashable] = {}

    def root(one: Hashable) -> Hashable:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    def join(one: Hashable, other: Hashable) -> None:
        first, second = root(one), root(other)
        if first != second:
            parent[second] = first

    for one, other, together in zip(left, right, same, strict=True):
        for offer_id in (one, other):
            for tie in _ties_of(offer_id, ties):
                join(offer_id, tie)
        if together:
            join(one, other)
    numbers: dict[Hashable, int] = {}
    numbered = [[numbers.setdefault(root(one), len(numbers)) for one in side] for side in (left, right)]
    return Groups(np.array(numbered[0], dtype=np.int64), np.array(numbered[1], dtype=np.int64))


def folds_of(groups: Groups, folds: int, *, seed: int) -> Groups:
    """The fold of the left and of the right offer of each pair; whole groups stay together, and groups that were compared where that is possible.

    Groups are dealt out one after another to the fold that holds most of their partners and has room (linear deterministic greedy; Stanton and
    Kliot 2012), each with its partners next, so that few pairs straddle two folds.
    """
    count = int(max(groups.left.max(initial=-1), groups.right.max(initial=-1))) + 1
    partners: list[list[int]] = [[] for _group in range(count)]
    for one, other in zip(groups.left.tolist(), groups.right.tolist(), strict=True):
        partners[one].append(other)
        partners[other].append(one)
    room = max(1.0, 1.05 * sum(map(len, partners)) / folds)
    fold, filled = np.full(count, -1, dtype=np.int64), np.zeros(folds)
    for start in np.random.default_rng(seed).permutation(count).tolist():
        waiting = deque([start])
        while waiting:
            group = waiting.popleft()
            if fold[group] >= 0:
                continue
            placed = np.bincount([fold[one] for one in partners[group] if fold[one] >= 0], minlength=folds)
            fold[group] = int(np.argmax((placed + 1e-6) * np.maximum(1 - filled / room, 0.0)))
            filled[fold[group]] += max(len(partners[group]), 1)
            waiting.extend(one for one in partners[group] if fold[one] < 0)
    return Groups(fold[groups.left], fold[groups.right])


def sides_of(folds: Groups, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(places that teach, places that judge) for one fold; pairs that straddle it are on neither side."""
    inside_left, inside_right = folds.left == number, folds.right == number
    return np.flatnonzero(~inside_left & ~inside_right), np.flatnonzero(inside_left & inside_right)


def by_time(at: list[str], groups: Groups, *, share: float = LATER_SHARE) -> tuple[np.ndarray, np.ndarray]:
    """(places that teach, places that judge): the newest `share` of labels judge; older ones that touch their groups are on neither side."""
    if not at:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    moments = np.array(at, dtype=object)
    cut = sorted(at)[min(math.floor((1 - share) * len(at)), len(at) - 1)]
    later = np.array([moment >= cut for moment in moments])
    judging = np.unique(np.concatenate([groups.left[later], groups.right[later]]))
    earlier = ~later & ~np.isin(groups.left, judging) & ~np.isin(groups.right, judging)
    return np.flatnonzero(earlier), np.flatnonzero(later)


def refuse_leaks(train: pa.Table, valid: pa.Table, ties: Ties, *, timed: bool = False) -> None:
    """Raise BadInput, with one sentence that says what leaks, unless `valid` judges fairly what `train` teaches.

    Both hold labels (columns of schema.Label, of which source, source_id, actor, at and run may be missing). `timed` asks besides that
    every label of `train` is older than any of `valid`.
    """
    taught, judged = train.to_pylist(), valid.to_pylist()
    for sentence in (*_unfit(taught, ties), *_shared(taught, judged, ties), *(_later(taught, judged) if timed else ())):
        raise BadInput(f"the split leaks: {sentence}", where="train and valid", todo="split by groups of products (learn/splits.py), and leave that label out")


def _ties_of(offer_id: str, ties: Ties) -> list[Hashable]:
    found: list[Hashable] = [offer_id]
    if offer_id in ties.product_of:
        found.append(("product", ties.product_of[offer_id]))
    if ties.text_of.get(offer_id, "").strip(" |"):
        found.append(("text", ties.text_of[offer_id]))
    return found


def _unfit(taught: list[dict[str, Any]], ties: Ties) -> Iterable[str]:
    """What may not teach whatever it is judged by."""
    for row in taught:
        named, source = f"{row['left_id']} and {row['right_id']}", row.get("source", "")
        if source == "audit":
            yield f"the audit of {named} teaches, and audits only judge"
        if source == "override" and row.get("source_id") in ties.undone:
            yield f"the answer about {named} was taken back, and teaches still"
        if row.get("actor") in ties.held:
            yield f"{row['actor']} is held back, and their answer about {named} teaches still"
        if row.get("gone"):
            yield f"the label of {named} has ended, and teaches still"
        if ties.run is not None and row.get("run", 0) > ties.run:
            yield f"the label of {named} is of run {row['run']}, later than the data version's run {ties.run}"
        if ties.offers is not None and not {row["left_id"], row["right_id"]} <= set(ties.offers):
            yield f"the label of {named} names an offer that this data version does not have: it is of another snapshot"
        if source == "gold" and ties.run is not None and _run_of(row.get("source_id", "")) > ties.run:
            yield f"the gold label of {named} was made on {row['source_id'].partition('@')[2]}, a later snapshot"


def _run_of(source_id: str) -> int:
    """The run of the snapshot that a gold set was made on."""
    named = source_id.partition("@")[2].partition("-")[0].removeprefix("s")
    return int(named) if named.isdigit() else 0


def _shared(taught: list[dict[str, Any]], judged: list[dict[str, Any]], ties: Ties) -> Iterable[str]:
    """What stands on both sides."""
    pairs = {_pair(row) for row in taught}
    offers = {one for pair in pairs for one in pair}
    products = {ties.product_of[one]: one for one in sorted(offers) if one in ties.product_of}
    texts = {ties.text_of[one]: one for one in sorted(offers) if ties.text_of.get(one, "").strip(" |")}
    texts_of_pairs = {_texts(pair, ties): pair for pair in sorted(pairs) if all(_texts(pair, ties))}
    for row in judged:
        pair = _pair(row)
        if pair in pairs:
            yield f"{pair[0]} and {pair[1]} are on both sides"
        same_text = texts_of_pairs.get(_texts(pair, ties))
        if same_text:
            yield f"{pair[0]} and {pair[1]} say word for word what {same_text[0]} and {same_text[1]} say on the other side"
        for one in pair:
            if one in offers:
                yield f"the offer {one} is on both sides"
            if ties.product_of.get(one) in products:
                yield f"{one} and {products[ties.product_of[one]]} are offers of {ties.product_of[one]}, on both sides"
            if ties.text_of.get(one, "").strip(" |") and ties.text_of[one] in texts:
                yield f"{one} says word for word what {texts[ties.text_of[one]]} says on the other side"


def _later(taught: list[dict[str, Any]], judged: list[dict[str, Any]]) -> Iterable[str]:
    first = min((row["at"] for row in judged if row.get("at")), default="")
    for row in taught:
        if first and row.get("at", "") >= first:
            yield f"the label of {row['left_id']} and {row['right_id']} is of {row['at']}, not before {first}, when the judging ones begin"


def _pair(row: Mapping[str, Any]) -> tuple[str, str]:
    return min(row["left_id"], row["right_id"]), max(row["left_id"], row["right_id"])


def _texts(pair: tuple[str, str], ties: Ties) -> tuple[str, ...]:
    return tuple(sorted(ties.text_of.get(one, "").strip(" |") for one in pair))
