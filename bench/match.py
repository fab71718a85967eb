"""Matching at scale on a sandbox world: offers a second by step, CPU seconds and peak memory.

python bench/match.py [--offers 100000] [--seed 7]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import tempfile
import time
import zlib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap import sandbox
from endcap.match import match_offers
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching


def main() -> None:
    """Print the figures of a first load and of a second delivery with 1 % changed offers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--offers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    offers, product_of = read_world(given.offers, given.seed)
    print(f"{offers.num_rows} offers of {len(set(product_of.values()))} products")
    with tempfile.TemporaryDirectory() as folder:
        warm_up = offers.slice(0, 500)
        match_offers(warm_up, warm_up["offer_id"].combine_chunks(), matching=Matching(), model=None, run=1)
        first = measure("first load", offers, offers["offer_id"].combine_chunks(), None, Path(folder))
        chosen = np.random.default_rng(given.seed).permutation(offers.num_rows)[: max(1, offers.num_rows // 100)]
        measure("1 % changed", offers, offers["offer_id"].combine_chunks().take(pa.array(np.sort(chosen))), first.model, Path(folder))
    report_quality(first.pairs, product_of, dict(zip(offers["offer_id"].to_pylist(), offers["feed"].to_pylist(), strict=True)))


def measure(name: str, offers: pa.Table, changed: pa.Array, model: Any, cache: Path) -> Any:
    """Run once and print seconds by step."""
    clock = time.process_time()
    matched = match_offers(offers, changed, matching=Matching(), model=model, run=1, cache=cache)
    cpu_s = time.process_time() - clock
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name}: {cpu_s:.1f} CPU s, peak {peak_mb:.0f} MB, {matched.figures['candidates']:.0f} candidate pairs, {matched.figures['kept']:.0f} kept")
    for step, seconds in matched.figures.items():
        if step.endswith("_s"):
            print(f"  {step.removesuffix('_s'):<20} {seconds:8.2f} s {len(changed) / max(seconds, 1e-3):12,.0f} offers/s")
    return matched


def report_quality(pairs: pa.Table, product_of: dict[str, str], feed_of: dict[str, str]) -> None:
    """Print how right each band of scores is, and how often the best pair of an offer is right."""
    scores = pairs["score"].to_numpy()
    sides = list(zip(pairs["left_id"].to_pylist(), pairs["right_id"].to_pylist(), strict=True))
    same = np.array([product_of[left] == product_of[right] for left, right in sides])
    edges = (0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 1.01)
    for low, high in itertools.pairwise(edges):
        band = (scores >= low) & (scores < high)
        if band.any():
            print(f"  score {low:.2f}-{min(high, 1):.2f}: {band.sum():8d} pairs, mean {scores[band].mean():.3f}, right {same[band].mean():.3f}")
    best: dict[str, tuple[float, bool]] = {}
    for (left, right), score, right_one in zip(sides, scores.tolist(), same.tolist(), strict=True):
        for offer_id in (left, right):
            if offer_id not in best or score > best[offer_id][0]:
                best[offer_id] = (score, right_one)
    feeds: dict[str, set[str]] = {}
    for offer_id, product in product_of.items():
        feeds.setdefault(product, set()).add(feed_of[offer_id])
    shared = [offer_id for offer_id, product in product_of.items() if len(feeds[product]) > 1]
    print(f"  best pair right for {np.mean([best.get(offer_id, (0.0, False))[1] for offer_id in shared]):.4f} of {len(shared)} offers that have a counterpart")


def read_world(offers: int, seed: int) -> tuple[pa.Table, dict[str, str]]:
    """(Offer rows as feeds would read them, the true product of each offer id)."""
    rows: dict[str, dict[str, Any]] = {}
    product_of: dict[str, str] = {}
    for feed, sent in sandbox.sent_offers(offers=offers, seed=seed):
        offer_id = f"{feed}:{sent.texts['id']}"
        if sent.texts["title"].strip() and offer_id not in rows:
            rows[offer_id] = offer_row(feed, offer_id, sent.texts)
            product_of[offer_id] = sent.truth.product
    return pa.Table.from_pylist(list(rows.values()), schema=arrow_schema(Offer)), product_of


def offer_row(feed: str, offer_id: str, texts: dict[str, str]) -> dict[str, Any]:
    """One Offer row from the texts a supplier sends."""
    details = {name: texts[name] for name in ("colour", "size") if texts.get(name)}
    digits = texts["gtin"].strip()
    empty: dict[str, Any] = dict.fromkeys(arrow_schema(Offer).names)
    return {
        **empty, "offer_id": offer_id, "feed": feed, "supplier": feed, "source_id": texts["id"], "title": texts["title"],
        "brand": texts["brand"] or None, "description": texts.get("description") or None, "mpn": texts["mpn"] or None,
        "gtin": digits.zfill(14) if has_check_digit(digits) else None,
        "price": read_price(texts["price"]), "currency": texts["currency"] or None, "quantity_text": texts["quantity"] or None,
        "details_json": json.dumps(details) if details else None, "delivery_id": "d", "position": 1, "raw_hash": 0,
        "identity_hash": zlib.crc32(texts["title"].encode()), "run": 1, "gone": False,
    }  # fmt: skip


def has_check_digit(digits: str) -> bool:
    """Whether it is a GTIN of 8 to 14 digits with a right check digit."""
    if not digits.isdecimal() or not 8 <= len(digits) <= 14:
        return False
    weighed = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits.zfill(14)))
    return weighed % 10 == 0


def read_price(text: str) -> Decimal | None:
    """A price whatever marks it is written with; the last mark is the decimal one."""
    plain = "".join(letter for letter in text if letter.isdigit() or letter in ".,")
    whole, mark, cents = plain.replace(",", ".").rpartition(".")
    try:
        return Decimal(whole.replace(".", "") + mark + cents)
    except InvalidOperation:
        return None


if __name__ == "__main__":
    main()
