"""What sellers state beside the title teaches without a person: what agrees nowhere is left out, a brand that differs keeps apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa

from endcap.match import Model, match_offers
from endcap.match.block import find_candidates
from endcap.match.details import SELDOM, find_own_details, key_between
from endcap.match.matching import candidate_pairs, read_catalog
from endcap.match.score import ENOUGH_GTINS, FEW_GTINS
from endcap.match.tokens import hash_texts
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching

THINGS = ("Kettle", "Lamp", "Desk fan", "Toaster", "Hand mixer", "Wall clock", "Bread bin")
FINISHES = ("matt", "gloss", "satin", "brushed")
MATTE = {"matt": "lisse", "gloss": "brillant", "satin": "soie", "brushed": "gratté"}
FEEDS = ("one", "two", "three")
SAYS = {"one": "steel", "two": "in steel, new", "three": "steel new"}
BRANDS = ("Acme", "Bolt", "Corvo")
MATCHING = Matching(candidates=10)


def name_of(n: int) -> str:
    """Made-up, and of its own."""
    syllables = ("ka", "lo", "mi", "ne", "pu", "ra", "so", "ti", "vu", "ze")
    return f"{THINGS[n % len(THINGS)]} {''.join(syllables[n * step % 997 // 10**place % 10] for place, step in enumerate((7, 13, 29)))} M{n * 37 + 113}"


def goods(count: int, kinds: tuple[str, ...]) -> Iterator[tuple[int, str, str, tuple[str, ...]]]:
    """(number, name, kind, feeds that have it): of ten things eight come in all kinds, of which each feed has some, and the name tells no kind."""
    for n in range(count):
        several = n % 10 < 8
        for place, kind in enumerate(kinds if several else (kinds[n % len(kinds)],)):
            has = ((7 * n + 5 * place) % 10 < 4, (3 * n + 7 * place) % 10 < 4, (9 * n + 3 * place) % 10 < 6)
            yield len(kinds) * n + place, name_of(n), kind, tuple(feed for feed, some in zip(FEEDS, has, strict=True) if some or not several)


def offer(feed: str, number: int, title: str, brand: str | None = None, gtin: str | None = None, **details: str) -> dict[str, object]:
    told = json.dumps({name: value for name, value in details.items() if value}) if details else None
    return {
        "offer_id": f"{feed}:{number}", "feed": feed, "title": title, "identity_hash": number, "price": f"{20 + number % 90}.50", "currency": "EUR",
        "brand": brand, "gtin": gtin, "details_json": told,
    }  # fmt: skip


def table(rows: list[dict[str, object]]) -> pa.Table:
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    return pa.table(
        [pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(len(rows), field.type) for field in arrow_schema(Offer)],
        schema=arrow_schema(Offer),
    )


def likely(rows: list[dict[str, object]], model: Model | None = None) -> tuple[Model, dict[tuple[str, str], float]]:
    """(model, score by pair)."""
    offers = table(rows)
    matched = match_offers(offers, offers["offer_id"].combine_chunks(), matching=MATCHING, model=model, run=1)
    pairs = matched.pairs
    return matched.model, dict(zip(zip(pairs["left_id"].to_pylist(), pairs["right_id"].to_pylist(), strict=True), pairs["score"].to_pylist(), strict=True))


def found(scores: dict[tuple[str, str], float], one: str, two: str) -> tuple[int, int]:
    """(goods that both feeds offer whose pair is likely, other pairs of the two feeds that are)."""
    near = [(left.split(":"), right.split(":")) for (left, right), score in scores.items() if score >= 0.8]
    same = [left[1] == right[1] for left, right in near if {left[0], right[0]} == {one, two}]
    return sum(same), len(same) - sum(same)


def test_a_reference_of_the_seller_beside_other_details_is_left_out(tmp_path: Path) -> None:
    """Some state their finish too, and some their size, so that of what a pair states a half agrees, two thirds, or nothing."""
    rows = [
        offer(feed, n, f"{name} {SAYS[feed]}", reference=f"{feed}{n * 7 + 50}", finish=finish if n % 3 else "", size="3" if n % 5 == 0 else "")
        for n, name, finish, feeds in goods(300, FINISHES) for feed in feeds if feed != "three"
    ]  # fmt: skip
    model, scores = likely(rows)
    assert model.own_details == (int(hash_texts(["reference"])[0]),)
    right, wrong = found(scores, "one", "two")
    assert right >= 50 and wrong == 0, (right, wrong)
    model.save(tmp_path)
    loaded = Model.load(tmp_path)
    assert (loaded.own_details, loaded.model_id) == (model.own_details, model.model_id)
    assert likely(rows, loaded)[1] == scores


def test_a_detail_in_another_language_is_left_out_between_those_feeds_alone() -> None:
    rows = [
        offer(feed, n, f"{name} {SAYS[feed]}", finish=MATTE[finish] if feed == "two" else finish)
        for n, name, finish, feeds in goods(200, FINISHES) for feed in feeds
    ]  # fmt: skip
    model, scores = likely(rows)
    finish, one, two, three = hash_texts(["finish", "one", "two", "three"])
    assert set(model.own_details) == {int(key_between(finish, two, other)) for other in (one, three)}
    for one, other in combinations(FEEDS, 2):
        right, wrong = found(scores, one, other)
        assert right >= 35 and wrong == 0, (one, other, right, wrong)


def test_details_that_agree_in_enough_pairs_are_kept() -> None:
    rows = [
        offer(feed, n, f"{name_of(n)} {SAYS[feed]}", finish="matt" if feed == "one" or n % 8 == 0 else f"finish{n}") for n in range(80) for feed in FEEDS[:2]
    ]
    catalog = read_catalog(table(rows))
    every = np.arange(160, dtype=np.int32)
    pairs = candidate_pairs(catalog, find_candidates(catalog.index, every, 10), every, 10)
    number = np.array([int(offer_id.split(":")[1]) for offer_id in catalog.offer_ids.to_pylist()])
    same = number[pairs.left] == number[pairs.right]
    assert same.sum() == 80 and SELDOM < 1 / 8
    assert find_own_details(pairs, same) == ()
    assert find_own_details(pairs, same & (number[pairs.left] % 8 != 0)) == (int(hash_texts(["finish"])[0]),)


def test_offers_that_state_other_brands_are_not_one_however_alike() -> None:
    """Nobody names the brand in the title."""
    rows = [offer(feed, n, f"{name} {SAYS[feed]}", brand) for n, name, brand, feeds in goods(200, BRANDS) for feed in feeds if feed != "three"]
    right, wrong = found(likely(rows)[1], "one", "two")
    assert right >= 70 and wrong == 0, (right, wrong)


def test_few_gtins_are_believed_in_part() -> None:
    """A tenth of the GTINs stands on another thing: what the offers say, and where they stand, is asked too."""
    rows = [
        offer(feed, n, f"{name_of(n)} {SAYS[feed]}", gtin=f"{4006381000000 + 13 * (n if n % 10 or feed == 'one' else n + 1):013d}")
        for n in range(150) for feed in FEEDS[:2]
    ]  # fmt: skip
    model, scores = likely(rows)
    assert FEW_GTINS < model.numbers["gtins_same"] < ENOUGH_GTINS and model.numbers["seeds_same"] > 0
    right, wrong = found(scores, "one", "two")
    assert right >= 145 and wrong == 0, (right, wrong)
