"""The index that grows and shrinks: the same answers whatever its history, its threads, and what happened to its files."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.match.block import find_near
from endcap.match.cache import opened_store, synced_store
from endcap.match.index import LEFT_OUT, POSTINGS, Postings
from endcap.match.matching import OF_MANY, OF_TWO, candidates_of, compute_features, find_pairs, fit_store, live_offers, match_offers, view_pairs
from endcap.match.score import feature_names
from endcap.match.search import search_one
from endcap.match.store import Store, build_store, changes_of, hash_bytes, open_store, read_rows
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching

WORDS = ("kettle", "toaster", "steel", "red", "blue", "1.5 l", "500ml", "KX-1200", "kx1201", "AB77-3", "mini", "pro", "x2")


def offer(number: int, version: int = 0) -> dict[str, Any]:
    """An offer of one of three feeds; another version has other words and another price."""
    rng = np.random.default_rng(number * 1000 + version)
    words = [WORDS[place] for place in rng.integers(0, len(WORDS), 4)]
    empty: dict[str, Any] = dict.fromkeys(arrow_schema(Offer).names)
    return {
        **empty, "offer_id": f"f{number % 3}:{number}", "feed": f"f{number % 3}", "supplier": "s", "source_id": str(number), "title": " ".join(words),
        "price": Decimal(10 + number % 7 + version), "currency": "EUR", "gtin": f"0400{number % 5:010d}" if number % 4 == 0 else None,
        "description": f"about {words[0]} of series {number % 6}", "raw_hash": 0, "identity_hash": number * 100 + version, "delivery_id": "d",
        "position": 1, "run": 1, "gone": False,
    }  # fmt: skip


def table(versions: dict[int, int]) -> pa.Table:
    return pa.Table.from_pylist([offer(number, version) for number, version in versions.items()], schema=arrow_schema(Offer))


def answers(store: Store) -> str:
    """Candidates, features and scores of all live offers in words that do not name rows."""
    rows = store.live_rows()
    graph = find_near(store.postings, rows, 4, threads=1)
    ids = dict(zip(rows.tolist(), store.texts("offer_ids", rows).to_pylist(), strict=True))
    near = sorted(
        (ids[row], [ids[other] for other in others if other >= 0], values)
        for row, others, values in zip(rows.tolist(), graph.near.tolist(), graph.similarity.tolist(), strict=True)
    )
    pairs, sides = view_pairs(store, find_pairs(store, rows, 4))
    features = compute_features(pairs, feature_names())
    order = np.lexsort(([ids[row] for row in sides[:, 1].tolist()], [ids[row] for row in sides[:, 0].tolist()])) if sides.size else []
    compared = [(ids[int(sides[place, 0])], ids[int(sides[place, 1])], features[place].tolist()) for place in order]
    return repr((near, compared, fit_store(store, Matching(candidates=4)).model_id))


@given(
    st.dictionaries(st.integers(0, 40), st.integers(0, 2), max_size=30),
    st.lists(st.dictionaries(st.integers(0, 40), st.integers(-1, 2), max_size=12), max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_any_history_of_additions_and_removals_gives_the_index_built_at_once(
    tmp_path_factory: pytest.TempPathFactory, start: dict[int, int], steps: list[dict[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    now = dict(start)
    grown = synced_store(live_offers(table(now)), folder)
    for step in steps:
        now |= {number: version for number, version in step.items() if version >= 0}
        now = {number: version for number, version in now.items() if step.get(number, 0) >= 0}
        grown = synced_store(live_offers(table(now)), folder)
    assert grown.size == len(now)
    assert answers(grown) == answers(build_store(live_offers(table(dict(sorted(now.items(), reverse=True))))))


def test_only_what_changed_is_fetched_and_a_large_change_builds_a_new_base(tmp_path: Path) -> None:
    versions = dict.fromkeys(range(1500), 0)
    synced_store(live_offers(table(versions)), tmp_path)
    versions |= {3: 1, 5000: 0}
    del versions[7]
    live = live_offers(table(versions))
    fetched: list[str] = []
    seen = type(live)(live.thin, lambda ids: (fetched.extend(ids.to_pylist()), live.fetch(ids))[1])
    store = synced_store(seen, tmp_path)
    assert sorted(fetched) == ["f0:3", "f2:5000"] and store.size == 1500
    assert [file.name for file in tmp_path.glob("changes_*")] == ["changes_000000.npz"]
    again = synced_store(seen, tmp_path)
    assert len(fetched) == 2 and again.size == 1500
    versions |= dict.fromkeys(range(1100), 2)
    rebuilt = synced_store(live_offers(table(versions)), tmp_path)
    assert rebuilt.delta.size == 0 and not list(tmp_path.glob("changes_*"))
    assert answers(rebuilt) == answers(build_store(live_offers(table(versions))))


@pytest.mark.parametrize("name", ["changes_000000.npz", "base/ids.npy", "base/posting.npy", "base/seal.json", "base/titles.npy"])
def test_damaged_or_foreign_files_are_built_anew(tmp_path: Path, name: str) -> None:
    versions = dict.fromkeys(range(60), 0)
    synced_store(live_offers(table(versions)), tmp_path)
    versions[61] = 0
    expected = answers(synced_store(live_offers(table(versions)), tmp_path))
    good = (tmp_path / name).read_bytes()
    middle = len(good) // 2
    for damage in (b"", b"rubbish", good[:middle], good[:middle] + bytes([good[middle] ^ 0xFF]) + good[middle + 1 :]):
        (tmp_path / name).write_bytes(damage)
        assert answers(synced_store(live_offers(table(versions)), tmp_path)) == expected
        versions.pop(61)
        synced_store(live_offers(table(versions)), tmp_path)
        versions[61] = 0
        synced_store(live_offers(table(versions)), tmp_path)


def test_threads_change_nothing() -> None:
    store = build_store(live_offers(table(dict.fromkeys(range(9000), 0))))
    rows = store.live_rows()
    one, several = find_near(store.postings, rows, 6, threads=1), find_near(store.postings, rows, 6, threads=4)
    assert np.array_equal(one.near, several.near) and np.array_equal(one.similarity, several.similarity)


def test_prices_and_feeds_count_as_changes() -> None:
    old = table({1: 0, 2: 0})
    store = build_store(live_offers(old))
    rows = old.to_pylist()
    rows[0]["price"] = Decimal("99.5")
    places, gone = changes_of(store, live_offers(pa.Table.from_pylist(rows, schema=old.schema)))
    assert places.tolist() == [0] and gone.size == 0
    places, gone = changes_of(store, live_offers(old.slice(1)))
    assert places.size == 0 and gone.tolist() == hash_bytes(old["offer_id"].slice(0, 1)).tolist()


def test_a_posting_left_out_as_too_long_is_noticed_when_it_shrinks() -> None:
    offers = table(dict.fromkeys(range(LEFT_OUT + 1000), 0))
    offers = offers.set_column(offers.schema.get_field_index("title"), "title", pa.array(["mug"] * offers.num_rows))
    store = build_store(live_offers(offers))
    assert not store.is_outdated
    keys = hash_bytes(offers["offer_id"])
    nothing = read_rows(offers.slice(0, 0), store.base.rows.feed_names)
    assert open_store(store.base, nothing, keys[POSTINGS:]).is_outdated
    assert not open_store(store.base, nothing, keys[LEFT_OUT:]).is_outdated


def test_one_offer_is_answered_as_in_a_run() -> None:
    offers = table(dict.fromkeys(range(300), 0))
    asked = offers.slice(7, 1)
    store = build_store(live_offers(offers.filter(pa.array([place != 7 for place in range(300)]))))
    model = fit_store(store, Matching(candidates=8))
    hits = search_one(store, asked, model, k=8)
    assert 0 < len(hits) <= 8 and all(not hit.offer_id.startswith("f1:") for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    # The same offer inside the index meets the same neighbours; only rarity moves a little, by one offer in 300.
    within = build_store(live_offers(offers))
    row = within.rows_of(hash_bytes(asked["offer_id"]))
    near = find_near(within.postings, row, 8, threads=1).near[0]
    same = {*within.texts("offer_ids", near[near >= 0]).to_pylist()} & {hit.offer_id for hit in hits}
    assert len(same) >= len(hits) - 2
    unknown = asked.set_column(asked.schema.get_field_index("title"), "title", pa.array(["zzqx 991-qq"]))
    assert all(0 <= hit.score <= 1 for hit in search_one(store, unknown, model))


def test_a_shared_gtin_is_found_behind_any_number_of_the_askers_own() -> None:
    names = ["steel kettle", *(f"lamp {number} of many words" for number in range(40)), "quite another thing"]
    numbers = dict.fromkeys(range(len(names)), 0)
    rows = [{**offer(number), "title": name, "feed": "f0", "gtin": "04006381333931"} for number, name in zip(numbers, names, strict=True)]
    rows[-1]["feed"] = "f1"
    offers = pa.Table.from_pylist(rows, schema=arrow_schema(Offer))
    store = build_store(live_offers(offers.slice(1)))
    hits = search_one(store, offers.slice(0, 1), fit_store(store, Matching(candidates=4)), k=4)
    assert rows[-1]["offer_id"] in [hit.offer_id for hit in hits]


def test_nothing_is_found_of_offers_that_are_gone(tmp_path: Path) -> None:
    offers = table(dict.fromkeys(range(50), 0))
    synced_store(live_offers(offers), tmp_path)
    left = offers.filter(pa.array([place % 2 == 0 for place in range(50)]))
    found = match_offers(left, left["offer_id"].combine_chunks(), matching=Matching(candidates=5), model=None, run=1, cache=tmp_path)
    assert {*found.pairs["left_id"].to_pylist(), *found.pairs["right_id"].to_pylist()} <= set(left["offer_id"].to_pylist())
    assert found.figures["offers"] == 25


def test_who_only_reads_gets_the_same_index_and_writes_nothing(tmp_path: Path) -> None:
    versions = dict.fromkeys(range(60), 0)
    assert answers(opened_store(live_offers(table(versions)), tmp_path)) == answers(build_store(live_offers(table(versions))))
    assert not list(tmp_path.iterdir()), "there was no index, and there is none"
    synced_store(live_offers(table(versions)), tmp_path)
    files = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for now in (versions, {**versions, 3: 1, 70: 0}, dict.fromkeys(range(1, 60), 0), dict.fromkeys(range(60), 1)):
        assert answers(opened_store(live_offers(table(now)), tmp_path)) == answers(build_store(live_offers(table(now))))
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == files


def listing(feed: str, number: int, title: str) -> dict[str, Any]:
    return {**offer(number), "offer_id": f"{feed}:{number}", "feed": feed, "title": title, "gtin": None, "description": None, "price": None}


def test_copies_in_one_feed_do_not_hide_what_other_feeds_have() -> None:
    """A feed that lists a product a dozen times fills no list: the nearest of each feed stand before more of the same."""
    copies = [listing("market", number, f"KX-1200 steel kettle {number}") for number in range(12)]
    others = [
        listing("a", 20, "KX-1200 steel kettle"),
        listing("b", 21, "KX-1200 pro"),
        listing("b", 22, "red toaster mini"),
        listing("c", 23, "kettle KX 1200"),
    ]
    offers = pa.Table.from_pylist(copies + others, schema=arrow_schema(Offer))
    store = build_store(live_offers(offers))
    asked = store.rows_of(hash_bytes(pa.chunked_array([["a:20"]], pa.string())))
    graph = find_near(store.postings, asked, 6, threads=1)
    near = store.texts("offer_ids", graph.near[0]).to_pylist()
    assert {"b:21", "c:23"} <= set(near) and len(near) == 6
    assert sum(one.startswith("market:") for one in near) >= 3
    assert list(graph.similarity[0]) == sorted(graph.similarity[0], reverse=True)


def test_an_offer_has_more_candidates_where_more_than_two_feeds_are_compared() -> None:
    postings = build_store(live_offers(table(dict.fromkeys(range(5), 0)))).postings

    def of(*feeds: int, often: tuple[int, ...] = ()) -> Postings:
        return replace(postings, feeds=np.array(feeds, dtype=np.int32)).listing(often)

    assert candidates_of(Matching(), of(0, 0, 3, -1, 3)) == candidates_of(Matching(), of()) == OF_TWO
    assert candidates_of(Matching(), of(0, 0, 3, -1, 3, 1)) == OF_MANY
    assert candidates_of(Matching(), of(0, 0, 3, -1, 3, often=(3,))) == OF_MANY
    assert candidates_of(Matching(candidates=5), of(0, 0, 3, -1, 3, 1)) == 5
