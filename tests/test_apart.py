"""What tells one supplier's offers apart: learned without a person, kept as text, the same however an index came about, and explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from endcap.match import Model, match_offers, rescore, with_first_columns
from endcap.match.apart import ENOUGH, TOLD_APART, find_siblings, fit_apart
from endcap.match.block import find_candidates
from endcap.match.cache import synced_store
from endcap.match.difference import Difference
from endcap.match.explain import explain_pair
from endcap.match.matching import fit_store, live_offers, read_catalog
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching

TASTES = ("mint", "coconut", "argan", "camomile")
KINDS = ("Shampoo", "Shower gel", "Conditioner", "Hand soap", "Body milk")
NOISE = ("brand new", "best price", "top quality")
MATCHING = Matching(candidates=8)


def offer(feed: str, number: int, title: str) -> dict[str, object]:
    return {"offer_id": f"{feed}:{number}", "feed": feed, "title": title, "identity_hash": number, "price": 4.5, "currency": "EUR"}


def tastes(families: int = 30) -> pa.Table:
    """Two suppliers list each family in four tastes, one of them with words that say nothing."""
    rows = []
    for family in range(families):
        for place, taste in enumerate(TASTES):
            number = family * len(TASTES) + place
            name = f"{KINDS[family % len(KINDS)]} Serie{family} {taste} 300 ml"
            rows += [offer("nord", number, f"Renzoyl {name}"), offer("sued", number, f"Renzoyl {name} {NOISE[number % 3]}")]
    schema = arrow_schema(Offer)
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    columns["price"] = [f"{row['price']:.2f}" for row in rows]
    return pa.table(
        [pa.array(columns[field.name]).cast(field.type) if field.name in rows[0] else pa.nulls(len(rows), field.type) for field in schema], schema=schema
    )


@pytest.fixture(scope="module")
def offers() -> pa.Table:
    return tastes()


@pytest.fixture(scope="module")
def told(offers: pa.Table) -> Difference:
    """What sure pairs of these offers teach where it is known which are the same."""
    catalog = read_catalog(offers)
    rows = np.arange(catalog.index.size, dtype=np.int32)
    graph = find_candidates(catalog.index, rows, 4)
    pairs = np.stack([np.repeat(graph.rows, 4), graph.near.ravel()], axis=1).astype(np.int64)
    pairs = pairs[pairs[:, 1] >= 0]
    number = np.array([one.split(":")[1] for one in catalog.offer_ids.to_pylist()])
    assert catalog.index.postings is not None
    siblings = find_siblings(catalog.index.postings, rows, 7)
    found = fit_apart(catalog.index.tokens, pairs, (number[pairs[:, 0]] == number[pairs[:, 1]]).astype(float), siblings, seed=7)
    assert found is not None
    return found


def test_siblings_are_offers_of_one_feed(offers: pa.Table) -> None:
    catalog = read_catalog(offers)
    assert catalog.index.postings is not None
    siblings = find_siblings(catalog.index.postings, np.arange(catalog.index.size, dtype=np.int32), 7)
    feeds = catalog.index.feeds[siblings]
    assert siblings.shape[0] > ENOUGH and (feeds[:, 0] == feeds[:, 1]).all() and (siblings[:, 0] != siblings[:, 1]).all()


def test_words_that_tell_one_suppliers_offers_apart_weigh_more_than_words_that_say_nothing(told: Difference) -> None:
    asked = read_catalog(pa.concat_tables([tastes(1)]))
    place = {one: row for row, one in enumerate(asked.offer_ids.to_pylist())}
    same, other = ("nord:0", "sued:0"), ("nord:0", "sued:1")
    values = [told.between(asked.index.tokens, np.array([place[a]]), np.array([place[b]]))[0] for a, b in (same, other)]
    turned = told.between(asked.index.tokens, np.array([place[same[1]]]), np.array([place[same[0]]]))[0]
    assert values[0] > 0 > values[1] and turned == pytest.approx(values[0], abs=1e-5)


def test_few_siblings_or_few_sure_pairs_teach_nothing(offers: pa.Table) -> None:
    tokens = read_catalog(offers).index.tokens
    pairs, scores = np.tile([[0, 1]], (ENOUGH, 1)), np.ones(ENOUGH)
    assert fit_apart(tokens, pairs, scores, np.zeros((0, 2), np.int64), seed=7) is None
    assert fit_apart(tokens, pairs[1:], scores[1:], np.tile([[2, 3]], (ENOUGH, 1)), seed=7) is None


def test_a_supplier_that_lists_its_products_twice_teaches_nothing() -> None:
    once = tastes().to_pylist()
    twice = [{**row, "offer_id": f"{row['offer_id']}/{copy}"} for row in once for copy in range(6)]
    catalog = read_catalog(pa.Table.from_pylist(twice, schema=arrow_schema(Offer)))
    assert catalog.index.postings is not None
    siblings = find_siblings(catalog.index.postings, np.arange(catalog.index.size, dtype=np.int32), 7)
    pairs, scores = np.tile([[0, 1]], (2 * ENOUGH, 1)), np.ones(2 * ENOUGH)
    assert siblings.shape[0] > ENOUGH and fit_apart(catalog.index.tokens, pairs, scores, siblings, seed=7) is None


def test_the_model_keeps_it_as_text_and_every_bar_sums_to_the_score(offers: pa.Table, tmp_path: Path) -> None:
    found = match_offers(offers, offers["offer_id"].combine_chunks(), matching=MATCHING, model=None, run=1)
    assert found.model.names[-1] == TOLD_APART and found.model.apart is not None
    found.model.save(tmp_path)
    again = Model.stored(tmp_path, found.model.model_id)
    assert rescore(found.pairs, again)["score"].equals(found.pairs["score"])
    rows = {row["offer_id"]: row for row in offers.to_pylist()}
    pair = found.pairs.to_pylist()[0]
    bars = explain_pair(rows[pair["left_id"]], rows[pair["right_id"]], again, pair["features"])
    total = sum(bar.contribution for bar in bars)
    assert 1 / (1 + np.exp(-total)) == pytest.approx(pair["score"], abs=1e-6)
    (bar,) = [bar for bar in bars if bar.name == TOLD_APART]
    assert "one supplier's offers" in bar.words and abs(bar.contribution) > 0


def test_stored_pairs_of_another_model_get_the_column_of_this_one(offers: pa.Table) -> None:
    ids = offers["offer_id"].combine_chunks()
    found = match_offers(offers, ids, matching=MATCHING, model=None, run=1)
    plain = Model(found.model.kind, found.model.shelf_names, found.model.parts)
    before = match_offers(offers, ids, matching=MATCHING, model=plain, run=1).pairs
    other = pc.is_in(before["left_id"], value_set=ids.slice(0, 50))
    mixed = pa.concat_tables([before.filter(pc.invert(other)), found.pairs.filter(pc.is_in(found.pairs["left_id"], value_set=ids.slice(0, 50)))])
    assert len(set(pc.list_value_length(mixed["features"]).to_pylist())) == 2, "rows of two models are not of one length"
    for rows in (before, mixed, before.slice(0, 0)):
        shown = with_first_columns(rows, found.model, lambda: live_offers(offers), None)
        assert set(pc.list_value_length(shown["features"]).to_pylist()) <= {len(found.model.names)} and shown.num_rows == rows.num_rows
    judged = rescore(with_first_columns(mixed, found.model, lambda: live_offers(offers), None), found.model)
    again = match_offers(offers, ids, matching=MATCHING, model=found.model, run=1, former=before.select(["left_id", "right_id"])).pairs
    wanted = {(row["left_id"], row["right_id"]): row["score"] for row in again.to_pylist()}
    assert judged.num_rows and all(wanted[row["left_id"], row["right_id"]] == pytest.approx(row["score"], abs=1e-9) for row in judged.to_pylist())


def test_an_index_that_grew_teaches_the_same(offers: pa.Table, tmp_path: Path) -> None:
    whole = synced_store(live_offers(offers), tmp_path / "whole")
    synced_store(live_offers(offers.slice(60)), tmp_path / "grown")
    grown = synced_store(live_offers(offers), tmp_path / "grown")
    models = [fit_store(store, MATCHING) for store in (whole, grown)]
    assert models[0].apart is not None and models[0].model_id == models[1].model_id
