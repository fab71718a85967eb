"""What finding candidates costs on a world of near-identical siblings, and what it finds of what can be found.

    python bench/candidates.py [--offers 100000] [--seed 7] [--end-to-end] [--json]

As many products as offers, in families of up to 80 that differ in code, colour or size. Offers reorder the words, drop, mangle
or rewrite the code and add words of their own. An offer can be resolved if what it still says is said of one product only.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.match import match_offers
from endcap.match.block import find_near
from endcap.match.cache import synced_store
from endcap.match.matching import live_offers
from endcap.match.score import Model
from endcap.match.search import search_one
from endcap.match.store import Store, hash_bytes
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching

COLOURS = ("black", "white", "red", "blue", "green", "silver", "grey", "brown")
SIZES = ("250 ml", "500 ml", "1 l", "1.5 l", "2 l", "10 cm", "20 cm", "30 cm", "5 kg", "16 GB", "32 GB", "64 GB")
MARKETING = ("new", "original", "free delivery", "best price", "offer", "genuine", "top quality", "2 year warranty")
LARGEST_FAMILY = 80
QUERIES, SINGLE_QUERIES, ADDED = 20_000, 2_000, 10_000
SYLLABLES = ("ba", "cor", "del", "fin", "gar", "hol", "jin", "kal", "lum", "mor", "nex", "pra", "quo", "rit", "sol", "tev", "ulm", "vex", "wis", "zan")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--offers", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--end-to-end", action="store_true", help="match all offers against all products, with features and scores")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON, the figures by name")
    given = parser.parse_args()
    warm_up()
    world = World(given.offers, given.seed)
    print(f"{given.offers} products, as many offers; {100 * np.mean(world.resolvable):.1f} % can be resolved by construction")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_candidates(world, Path(folder) / "candidates")
        if given.end_to_end:
            figures |= measure_whole(world, Path(folder) / "whole")
    if given.json:
        print(json.dumps(figures))


class World:
    """Products and one offer of each, in turn; `resolvable` by offer."""

    def __init__(self, products: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        names = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]
        said: list[tuple[str, ...]] = []
        prices: list[float] = []
        while len(said) < products:
            brand, kind, series = (names[place] for place in self.rng.integers(0, (400, 300, 1500)))
            stem = "".join(chr(65 + place) for place in self.rng.integers(0, 26, 2))
            first, price = int(self.rng.integers(100, 9000)), float(np.exp(self.rng.normal(3.5, 1)))
            # A family comes in a few colours and sizes at one price: mostly the code tells its members apart.
            colours, sizes = (self.rng.choice(of, 3, replace=False).tolist() for of in (COLOURS, SIZES))
            for member in range(int(self.rng.integers(1, LARGEST_FAMILY + 1))):
                colour, size = (of[int(self.rng.integers(0, 3))] for of in (colours, sizes))
                said.append((brand, kind, series, f"{stem}-{first + member}", colour, size))
                prices.append(price)
        self.products, self.prices = said[:products], np.array(prices[:products])
        # In how many products what an offer may still say is said.
        self._said = Counter(form for product in self.products for form in _forms(product))
        self.offers: list[str] = []
        resolvable = []
        for product in self.products:
            title, tells = self._offer(product)
            self.offers.append(title)
            resolvable.append(tells)
        self.resolvable = np.array(resolvable)

    def _offer(self, product: tuple[str, ...]) -> tuple[str, bool]:
        """(title, whether what it says of its product is said of no other)."""
        brand, kind, series, code, colour, size = product
        dice = self.rng.random(6)
        written = code if dice[0] < 0.45 else code.replace("-", "") if dice[0] < 0.6 else code.replace("-", " ") if dice[0] < 0.7 else ""
        mangled = 0.7 <= dice[0] < 0.85
        if mangled:
            place = int(self.rng.integers(3, len(code)))
            written = code[:place] + str((int(code[place]) + int(self.rng.integers(1, 10))) % 10) + code[place + 1 :]
        shown = (colour if dice[1] < 0.85 else "", size if dice[2] < 0.85 else "")
        words = [word for word in (brand if dice[3] < 0.8 else "", kind, series, written, *shown) if word]
        if dice[4] < 0.5:
            words = [words[place] for place in self.rng.permutation(len(words))]
        if dice[5] < 0.6:
            words.append(MARKETING[int(self.rng.integers(0, len(MARKETING)))])
        tells = bool(written) and (not mangled or self._said[(kind, series, written)] == 0)
        return " ".join(words), tells or self._said[(kind, series, *shown)] == 1

    def table(self, feed: str, first: int, end: int) -> pa.Table:
        """Offer rows [first, end) of the feed 'products' or 'shop'."""
        schema, count = arrow_schema(Offer), end - first
        titles = [" ".join(product) for product in self.products[first:end]] if feed == "products" else self.offers[first:end]
        prices = self.prices[first:end] * (1.0 if feed == "products" else np.random.default_rng(first).uniform(0.9, 1.1, count))
        given: dict[str, Any] = {
            "offer_id": [f"{feed}:{number}" for number in range(first, end)], "feed": [feed] * count, "title": titles,
            "price": [f"{price:.2f}" for price in prices], "currency": ["EUR"] * count, "identity_hash": np.arange(first, end),
        }  # fmt: skip
        columns = []
        for field in schema:
            column = pa.array(given[field.name]) if field.name in given else pa.nulls(count)
            columns.append(column.cast(field.type) if field.name in given or field.nullable else pa.nulls(count, field.type))
        return pa.Table.from_arrays(columns, names=schema.names)


def _forms(product: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What can be said of a product without its brand: its code, or any of colour and size."""
    _, kind, series, code, colour, size = product
    return [(kind, series, code), *((kind, series, one, other) for one in (colour, "") for other in (size, ""))]


def warm_up() -> None:
    """Compile, or load what was compiled before."""
    small = World(400, 1)
    offers = pa.concat_tables([small.table("products", 0, 400), small.table("shop", 0, 400)])
    with tempfile.TemporaryDirectory() as folder:
        for table in (offers, offers.slice(1)):
            match_offers(table, table["offer_id"].combine_chunks(), matching=Matching(), model=None, run=1, cache=Path(folder))


def measure_candidates(world: World, folder: Path) -> dict[str, float]:
    """Products and the first offers in one index; those offers are looked for. Figures by name, units last."""
    figures: dict[str, float] = {}
    size = len(world.products)
    asked = min(QUERIES, size // 2)
    offers = pa.concat_tables([world.table("products", 0, size), world.table("shop", 0, asked)])
    clock = time.process_time()
    store = synced_store(live_offers(offers), folder)
    figures["index_mb"] = sum(file.stat().st_size for file in folder.rglob("*")) / 1e6
    figures["index_cpu_s"] = report("index build and writing", clock, f"{figures['index_mb']:.0f} MB on disk")
    rows = store.rows_of(hash_bytes(world.table("shop", 0, asked)["offer_id"])).astype(np.int32)
    find_near(store.postings, rows[:10], 10, threads=1)
    # The first pass computes what every row that it reads has in common for all queries; the second finds it there.
    for name in ("first pass", "second pass"):
        clock = time.process_time()
        graph = find_near(store.postings, rows, 10, threads=1)
        figures["queries_a_cpu_s"] = asked / (time.process_time() - clock)
        report(f"{asked} queries, k = 10, {name}", clock, f"{figures['queries_a_cpu_s']:,.0f} queries a CPU second")
    figures["recall_at_10"] = recall(world, store, rows, graph.near, 10)
    clock = time.process_time()
    graph = find_near(store.postings, rows, 50, threads=1)
    report(f"{asked} queries, k = 50", clock, f"{asked / (time.process_time() - clock):,.0f} queries a CPU second")
    recall(world, store, rows, graph.near, 50)
    times = []
    for row in rows[:SINGLE_QUERIES]:
        started = time.perf_counter()
        find_near(store.postings, np.array([row]), 10, threads=1)
        times.append(1000 * (time.perf_counter() - started))
    figures["query_p99_ms"] = float(np.percentile(times, 99))
    print(f"  one query at a time: p50 {np.percentile(times, 50):.2f} ms, p99 {figures['query_p99_ms']:.2f} ms on the clock")
    more = pa.concat_tables([offers, world.table("shop", asked, min(size, asked + ADDED))])
    live = live_offers(more)
    clock = time.process_time()
    grown = synced_store(live, folder)
    figures["added_cpu_s"] = report(f"{more.num_rows - offers.num_rows} offers added, with opening the index", clock, f"{grown.size} live")
    return figures


def recall(world: World, store: Store, rows: np.ndarray, near: np.ndarray, k: int) -> float:
    """The share of the resolvable offers whose product is among the k nearest, printed with that of all."""
    wanted = store.rows_of(hash_bytes(pa.chunked_array([pa.array([f"products:{number}" for number in range(rows.size)])])))
    found = (near == wanted[:, None]).any(axis=1)
    of_resolvable = float(found[world.resolvable[: rows.size]].mean())
    print(f"  recall@{k}: {of_resolvable:.4f} of the resolvable, {found.mean():.4f} of all")
    return of_resolvable


def measure_whole(world: World, folder: Path) -> dict[str, float]:
    """All offers against all products, then again with 10,000 of them changed, then one at a time. Figures by name, units last."""
    figures: dict[str, float] = {}
    size = len(world.products)
    table = world.table("shop", 0, size)
    offers = pa.concat_tables([world.table("products", 0, size), table])
    model = None
    steps = (("all", f"{size} offers against {size} products", table["offer_id"]), ("changed", f"{ADDED} of them changed", table["offer_id"].slice(0, ADDED)))
    for key, name, asked in steps:
        clock, started = time.process_time(), time.monotonic()
        matched = match_offers(offers, asked.combine_chunks(), matching=Matching(), model=model, run=1, cache=folder)
        figures[f"{key}_wall_s"] = time.monotonic() - started
        told = ", ".join(f"{step} {value:g}" for step, value in matched.figures.items())
        figures[f"{key}_cpu_s"] = report(name, clock, f"{figures[f'{key}_wall_s']:.0f} s on the clock, {told}")
        figures[f"{key}_peak_mb"] = peak_mb()
        if model is None:
            figures["top_1"] = top(world, matched.pairs)
        model = matched.model
        offers = changed(offers, size)
    if model is not None:
        figures |= one_at_a_time(synced_store(live_offers(offers), folder), offers.slice(size, SINGLE_QUERIES), model)
    return figures


def one_at_a_time(store: Store, offers: pa.Table, model: Model) -> dict[str, float]:
    """How long it takes to find and score the products of one offer, as an API does, printed and by name."""
    times, cpu = [], []
    for number in range(offers.num_rows):
        started, cpu_started = time.perf_counter(), time.thread_time()
        search_one(store, offers.slice(number, 1), model)
        times.append(1000 * (time.perf_counter() - started))
        cpu.append(1000 * (time.thread_time() - cpu_started))
    told = " and ".join(
        f"p50 {np.percentile(of, 50):.1f} ms, p99 {np.percentile(of, 99):.1f} ms {words}" for of, words in ((times, "on the clock"), (cpu, "of CPU"))
    )
    print(f"one offer against {store.size} offers, found and scored: {told}")
    return {"one_p50_ms": float(np.percentile(times, 50)), "one_p99_ms": float(np.percentile(times, 99))}


def changed(offers: pa.Table, size: int) -> pa.Table:
    """The first offers with another identity."""
    identity = offers["identity_hash"].to_numpy().copy()
    identity[size : size + ADDED] += 10 * size
    return offers.set_column(offers.schema.get_field_index("identity_hash"), "identity_hash", pa.array(identity))


def top(world: World, pairs: pa.Table) -> float:
    """How often the best pair of a resolvable offer is right, printed with that of all."""
    left, right, scores = (pairs[name].to_pylist() for name in ("left_id", "right_id", "score"))
    best: dict[str, tuple[float, bool]] = {}
    for product, offer, score in zip(left, right, scores, strict=True):
        if offer not in best or score > best[offer][0]:
            best[offer] = (score, product.split(":")[1] == offer.split(":")[1])
    right_ones = np.array([best.get(f"shop:{number}", (0.0, False))[1] for number in range(len(world.products))])
    of_resolvable = float(right_ones[world.resolvable].mean())
    print(f"  best pair right for {of_resolvable:.4f} of the resolvable, {right_ones.mean():.4f} of all")
    return of_resolvable


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def report(name: str, clock: float, more: str) -> float:
    """CPU seconds since `clock`, printed with what they were for."""
    cpu_s = time.process_time() - clock
    print(f"{name}: {cpu_s:.1f} CPU s, peak {peak_mb():.0f} MB; {more}", flush=True)
    return cpu_s


if __name__ == "__main__":
    main()
