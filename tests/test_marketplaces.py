"""In a marketplace several sellers list one product: their offers are compared with each other, and what shops sell tells how sure one may be of that."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from governed import head_of
from test_candidates import listing
from test_suspicion import catalog, notices, offers_of_products, rows, titles

from endcap import flow, settings
from endcap.decide.between import explain_between
from endcap.govern import promotion, proposals
from endcap.govern.proposal_files import Head
from endcap.learn.validate import validate
from endcap.match.block import find_candidates
from endcap.match.listings import ASKED, DIFFERENT, ENOUGH, MOST_UNTAUGHT, SAME, teach_listings
from endcap.match.matching import fit_store, live_offers, match_offers, read_catalog
from endcap.match.pairs import Pairs
from endcap.match.search import search_one
from endcap.match.store import Live, build_store
from endcap.ops.home import Home
from endcap.schema import Offer, arrow_schema
from endcap.settings import Matching

MARKET = frozenset({"market"})
SELLERS = ("", "new ", "original ")


def bazaar(products: int, sold_by_shop: int) -> pa.Table:
    """Every product is listed three times on the market, under numbers in turn, and the shop has the first ones; each has a code of its own."""
    names = titles(products)
    sold = [listing("shop", place, names[place]) for place in range(sold_by_shop)]
    listed = [listing("market", 3 * place + seller, f"{word}{name}") for place, name in enumerate(names) for seller, word in enumerate(SELLERS)]
    return pa.Table.from_pylist(sold + listed, schema=arrow_schema(Offer))


def live(offers: pa.Table, marketplaces: frozenset[str] = MARKET) -> Live:
    return replace(live_offers(offers), marketplaces=marketplaces)


def product(offer_id: str) -> int:
    """Which product of the bazaar an offer is of."""
    feed, number = offer_id.split(":")
    return int(number) // len(SELLERS) if feed == "market" else int(number)


def test_listings_are_compared_only_where_the_feed_is_a_marketplace() -> None:
    offers = bazaar(60, 60)
    asked = offers["offer_id"].combine_chunks()
    for marketplaces, compared in ((frozenset(), False), (MARKET, True), (frozenset({"shop"}), False)):
        found = match_offers(live(offers, marketplaces), asked, matching=Matching(), model=None, run=1).pairs.to_pylist()
        inside = [pair for pair in found if pair["left_id"].startswith("market:") and pair["right_id"].startswith("market:")]
        assert bool(inside) == compared and all(pair["left_id"] < pair["right_id"] for pair in found)
        assert len({(pair["left_id"], pair["right_id"]) for pair in found}) == len(found)
    assert sum(pair["score"] >= 0.85 and product(pair["left_id"]) == product(pair["right_id"]) for pair in inside) == 0, "no shop is a marketplace here"


@pytest.mark.parametrize(("sold", "taught"), [(60, True), (10, False)])
def test_what_a_shop_sells_tells_how_sure_two_listings_are(sold: int, taught: bool) -> None:
    """Listings of one of its offers are one product, and of two of them two; where few are known, nothing is surer than may be asked."""
    read = read_catalog(bazaar(60, sold), MARKET)
    ids = read.offer_ids.to_pylist()
    two = [(left, right) for left, right in combinations(range(len(ids)), 2) if abs(product(ids[left]) - product(ids[right])) < 2]
    of = {True: [pair for pair in two if ids[pair[0]][0] == ids[pair[1]][0]], False: [pair for pair in two if ids[pair[0]][0] != ids[pair[1]][0]]}
    graph = find_candidates(read.index, np.arange(len(ids), dtype=np.int32), 5)
    within, across = (Pairs(read.index, graph, read.titles, *np.array(of[inside]).T, read.feed_names) for inside in (True, False))
    same = {inside: np.array([product(ids[left]) == product(ids[right]) for left, right in of[inside]]) for inside in of}
    features = {inside: np.arange(len(of[inside]), dtype=np.float32)[:, None] for inside in of}

    def score(given: np.ndarray) -> np.ndarray:
        known = same[False] if given is features[False] else np.ones(len(given), dtype=bool)
        return np.where(known, 0.99, 0.01)

    columns, chances = teach_listings(within, features[True], across, features[False], score)
    inside = np.array([ids[left].startswith("market") for left, _right in of[True]])
    if taught:
        assert columns[:, 0].tolist() == np.flatnonzero(inside).tolist()
        assert np.array_equal(chances, np.where(same[True][inside], SAME, DIFFERENT)) and min(same[True].sum(), (~same[True]).sum()) >= ENOUGH
    else:
        assert columns is features[True] and chances.tolist() == [MOST_UNTAUGHT] * len(chances)


def test_equal_gtins_teach_only_where_titles_are_alike() -> None:
    """A code that stands for none is on listings of anything: nobody knows of those, and they teach that nobody knows."""
    names = titles(75)
    codes = [f"0400638133{n:03d}" for n in range(75)]
    listed = [listing("market", 2 * place + seller, f"{word}{name}") for place, name in enumerate(names) for seller, word in enumerate(("", "new "))]
    for row in listed:
        number = int(row["offer_id"].split(":")[1])
        row["gtin"] = "04006381333931" if number % 10 == 9 else codes[number // 2]
    read = read_catalog(pa.Table.from_pylist(listed, schema=arrow_schema(Offer)), MARKET)
    graph = find_candidates(read.index, np.arange(len(listed), dtype=np.int32), 5)
    left, right = np.triu_indices(len(listed), 1)
    within = Pairs(read.index, graph, read.titles, left, right, read.feed_names)
    features = np.arange(left.size, dtype=np.float32)[:, None]
    columns, chances = teach_listings(within, features, replace(within, left=left[:0], right=right[:0]), features[:0], lambda given: np.zeros(len(given)))
    ids, gtins = read.offer_ids.to_pylist(), {row["offer_id"]: row["gtin"] for row in listed}
    for column, chance in zip(columns[:, 0].astype(int).tolist(), chances.tolist(), strict=True):
        one, other = ids[left[column]], ids[right[column]]
        same = gtins[one] == gtins[other]
        assert chance == ((SAME if int(one.split(":")[1]) // 2 == int(other.split(":")[1]) // 2 else ASKED) if same else DIFFERENT)
    assert (chances == SAME).sum() >= ENOUGH and (chances == ASKED).sum() >= 60


def test_a_market_beside_a_shop_is_joined_and_one_alone_is_not_by_machine() -> None:
    for sold, sure in ((150, True), (0, False)):
        offers = bazaar(150, sold)
        found = match_offers(live(offers), offers["offer_id"].combine_chunks(), matching=Matching(), model=None, run=1)
        inside = [pair for pair in found.pairs.to_pylist() if pair["left_id"].startswith("market:") and pair["right_id"].startswith("market:")]
        linked = [pair for pair in inside if pair["score"] >= 0.85 and pair["conflict"] is None]
        right = [pair for pair in linked if product(pair["left_id"]) == product(pair["right_id"])]
        assert (len(right) >= 300 and len(right) >= 0.98 * len(linked)) if sure else not linked
        assert len({(pair["left_id"], pair["right_id"]) for pair in inside if product(pair["left_id"]) == product(pair["right_id"])}) >= 100, "compared"


def test_one_listing_is_answered_as_in_a_run_and_finds_itself_as_any_other() -> None:
    offers = bazaar(60, 60)
    store = build_store(live(offers)).listing(MARKET)
    model = fit_store(store, Matching())
    asked = next(offers.slice(place, 1) for place in range(offers.num_rows) if offers["offer_id"][place].as_py() == "market:30")
    assert {"shop:10", "market:30", "market:31", "market:32"} <= {hit.offer_id for hit in search_one(store, asked, model)}
    plain = store.listing(frozenset())
    assert all(hit.offer_id.startswith("shop:") for hit in search_one(plain, asked, model))


def test_listings_of_a_marketplace_become_one_product_and_part_when_it_is_none(tmp_path: Path) -> None:
    names = titles(150)
    listed = [{**row, "id": f"{row['id']}-{place}", "title": f"{word}{row['title']}"} for place, word in enumerate(SELLERS) for row in rows(names)]
    feeds = {"market": listed, "shop": rows(names[:120])}
    flow.run(catalog(tmp_path, feeds))
    before = offers_of_products(tmp_path)
    assert before.get(4, 0) == 0
    flow.run(catalog(tmp_path, feeds, marketplaces=["market"]))
    joined = offers_of_products(tmp_path)
    assert joined.get(4, 0) >= 110 and joined.get(3, 0) >= 25, "as well where no shop has the product"
    home = Home(settings.read(tmp_path))
    told = explain_between(home, "market:x140-0", "market:x140-1")
    assert told.verdict == "linked" and told.steps[1].words == "both are of market, where several sellers list a product"
    assert [bar.words for bar in told.bars if bar.name == "one_feed"] == ["both are listings of one marketplace"]
    assert flow.plan(settings.read(tmp_path))["words"] == "a run would change nothing"
    said = flow.run(catalog(tmp_path, feeds))
    assert offers_of_products(tmp_path) == before, notices(said)


def test_a_placeholder_joins_nothing_and_the_gtin_of_a_popular_product_is_none(tmp_path: Path) -> None:
    names = titles(150)
    listed = [{**row, "id": f"{row['id']}-{place}", "title": f"{word}{row['title']}"} for place, word in enumerate(SELLERS) for row in rows(names)]
    for place, row in enumerate(listed):
        row["gtin"] = "4006381333931" if place % 15 == 0 else ""
    popular = [{"id": f"p{n}", "title": f"{names[7]} seller {chr(97 + n)}", "price": 17, "gtin": "4006381333948"} for n in range(24)]
    said = notices(flow.run(catalog(tmp_path, {"market": listed + popular, "shop": rows(names[:120])}, marketplaces=["market"])))
    assert "share the GTIN 04006381333931: it stands for none" in said and "04006381333948" not in said
    with Home(settings.read(tmp_path)).connect() as con:
        (held,) = con.execute("SELECT count(*) FROM decisions d JOIN offers o USING (offer_id) WHERE kind = 'product' AND o.gtin = '04006381333931' "
                              "GROUP BY product_id ORDER BY 1 DESC").fetchone() or (0,)  # fmt: skip
        (together,) = con.execute("SELECT count(*) FROM decisions d JOIN offers o USING (offer_id) WHERE kind = 'product' AND o.gtin = '04006381333948' "
                                  "AND product_id IS NOT NULL GROUP BY product_id ORDER BY 1 DESC").fetchone() or (0,)  # fmt: skip
    assert held <= len(SELLERS) and together >= 20


def test_a_market_alone_says_that_it_taught_too_little(tmp_path: Path) -> None:
    names = [f"{name} {adjective}" for name in titles(75) for adjective in ("compact", "black edition")]
    said = notices(flow.run(catalog(tmp_path, {"market": rows(names)}, marketplaces=["market"])))
    assert "too little tells which listings of market are one product, so that no likeness of two is put above 0.70" in said


def test_a_promoted_marketplace_is_foreseen_and_taken_back_to_the_id(tmp_path: Path) -> None:
    """What the validation foretells comes; after the rollback every offer is where it was, under the scorer of before, and nothing is left to do."""
    names = titles(150)
    listed = [{**row, "id": f"{row['id']}-{place}", "title": f"{word}{row['title']}"} for place, word in enumerate(SELLERS) for row in rows(names)]
    feeds = {"market": listed, "shop": rows(names[:120])}
    flow.run(catalog(tmp_path, feeds))
    before, models = placed(tmp_path), Home(settings.read(tmp_path)).manifest().models
    home = Home(settings.read(tmp_path))
    row = proposals.propose(home, Head.model_validate(head_of(kind="policy", set={"marketplaces": ["market"]})), actor="ann")
    proposals.accept(home, row["proposal_id"], actor="ann", reason="sellers")
    foretold = validate(home, "policy", proposals.validate(home, row["proposal_id"], actor="ann")["artefact"], seed=7).figures["shoppers"]
    promotion.promote(home, row["proposal_id"], actor="ann", reason="sellers", overrule=True)
    flow.run(settings.read(tmp_path))
    moved = sum(placed(tmp_path)[offer_id] != product_id for offer_id, product_id in before.items())
    assert offers_of_products(tmp_path).get(4, 0) >= 110 and foretold["merged"] >= 110 and abs(foretold["changed"] - moved) <= 0.1 * moved
    promotion.rollback(home, actor="ann", reason="it was a trial", kind="policy")
    flow.run(settings.read(tmp_path))
    assert placed(tmp_path) == before and Home(settings.read(tmp_path)).manifest().models["match"] == models["match"]
    assert Home(settings.read(tmp_path)).champion("match") == models["match"]
    assert flow.plan(settings.read(tmp_path))["words"] == "a run would change nothing"


def placed(folder: Path) -> dict[str, str]:
    """Offer -> its product."""
    with Home(settings.read(folder)).connect() as con:
        return dict(con.execute("SELECT offer_id, product_id FROM decisions WHERE kind = 'product' ORDER BY 1").fetchall())
