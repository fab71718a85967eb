"""The match room: what it promises whatever the offers are."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap import shelf
from endcap.checks import check_all
from endcap.match import Model, explain_pair, fit_labelled, match_offers, rescore
from endcap.match.block import find_candidates, share_key
from endcap.match.checks import check_feature
from endcap.match.explain import index_offers, read_records
from endcap.match.matching import Matched
from endcap.match.reading import CODE, WORD
from endcap.match.sample import OFFERS, sample_pairs
from endcap.match.tokens import hash_texts, join, read_tokens
from endcap.problems import BadInput
from endcap.schema import Offer, Pair, arrow_schema
from endcap.settings import Matching

MATCHING = Matching(candidates=5, kept=3)
COLOURS = ("red", "blue", "green", "black")
KINDS = ("kettle", "toaster", "mixer", "drill", "lamp")
BRANDS = ("Arvo", "Belmar", "Corvin", "Dexa", "Elmo")


def small_world(products: int = 60, feeds: int = 3, gtins: bool = True) -> pa.Table:
    """Products in several feeds, written differently by each."""
    rng = np.random.default_rng(3)
    rows = []
    for product in range(products):
        brand, kind = BRANDS[product % 5], KINDS[product // 5 % 5]
        code = f"{chr(65 + product % 7)}{chr(70 + product % 5)}-{1000 + 37 * product}"
        for feed in range(feeds):
            colour, price = COLOURS[product % 4], Decimal(f"{20 + product}.{feed}0")
            written = (f"{brand} {kind} {code} {colour}", f"{kind} {code.replace('-', '')} {brand} new", f"{brand} {code.lower()} {colour} {kind} 500 ml")
            gtin = f"0400{product:010d}" if gtins and rng.random() < 0.8 else None
            stated = {"title": written[feed % 3], "brand": brand, "price": price, "gtin": gtin}
            rows.append(offer(f"feed{feed}:{product}", feed=f"feed{feed}", identity_hash=product * 10 + feed, **stated))
    return pa.Table.from_pylist(rows, schema=arrow_schema(Offer))


def offer(offer_id: str, **given_fields: Any) -> dict[str, Any]:
    """An Offer row with everything else left out."""
    empty: dict[str, Any] = dict.fromkeys(arrow_schema(Offer).names)
    where = {"feed": "a", "supplier": "a", "source_id": offer_id, "delivery_id": "d", "position": 1, "run": 1, "gone": False}
    plain = {**where, "title": "x", "raw_hash": 0, "identity_hash": 0}
    return {**empty, **plain, "offer_id": offer_id, **given_fields}


def run_all(offers: pa.Table, **more: Any) -> Matched:
    asked = {"matching": MATCHING, "model": None, "run": 4, **more}
    return match_offers(offers, more.pop("changed", offers["offer_id"].combine_chunks()), **{name: value for name, value in asked.items() if name != "changed"})


def text_of(pairs: pa.Table) -> str:
    """All values; unlike Table.equals it takes NaN as equal to NaN."""
    return repr(pairs.to_pylist())


@pytest.fixture(scope="module")
def world() -> pa.Table:
    return small_world()


@pytest.fixture(scope="module")
def matched(world: pa.Table) -> Matched:
    return run_all(world)


def test_pairs_have_the_schema_and_their_order(matched: Matched) -> None:
    pairs = matched.pairs
    assert pairs.schema.equals(arrow_schema(Pair))
    keys = list(zip(pairs["left_id"].to_pylist(), pairs["right_id"].to_pylist(), strict=True))
    assert keys == sorted(set(keys)) and all(left < right for left, right in keys)
    scores = pairs["score"].to_numpy()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert {len(values) for values in pairs["features"].to_pylist()} == {len(matched.model.names)}


def test_own_feed_is_excluded_and_pairs_are_bounded(world: pa.Table, matched: Matched) -> None:
    feed_of = dict(zip(world["offer_id"].to_pylist(), world["feed"].to_pylist(), strict=True))
    assert all(feed_of[pair["left_id"]] != feed_of[pair["right_id"]] for pair in matched.pairs.to_pylist())
    gtin = matched.model.names.index("gtin")
    unforced = [pair for pair in matched.pairs.to_pylist() if pair["features"][gtin] != 1.0]
    assert len(unforced) <= MATCHING.kept * world.num_rows
    assert matched.figures["candidates"] <= 2 * MATCHING.candidates * world.num_rows


def test_same_products_score_above_others(matched: Matched) -> None:
    rows = matched.pairs.to_pylist()
    same = [row["score"] for row in rows if row["left_id"].split(":")[1] == row["right_id"].split(":")[1]]
    other = [row["score"] for row in rows if row["left_id"].split(":")[1] != row["right_id"].split(":")[1]]
    assert len(same) >= 150 and np.mean(same) > 0.8 and np.mean(other) < 0.2


def test_row_order_cache_and_repetition_change_nothing(world: pa.Table, matched: Matched, tmp_path: Path) -> None:
    shuffled = world.take(pa.array(np.random.default_rng(1).permutation(world.num_rows)))
    assert text_of(run_all(shuffled, cache=tmp_path / "c").pairs) == text_of(matched.pairs)
    assert text_of(run_all(world, cache=tmp_path / "c").pairs) == text_of(matched.pairs)


def test_cache_survives_change_and_damage(world: pa.Table, matched: Matched, tmp_path: Path) -> None:
    cache = tmp_path / "tokens"
    run_all(world, cache=cache, model=matched.model)
    rows = world.to_pylist()
    rows[7] = {**rows[7], "title": "Arvo kettle entirely new", "identity_hash": 99_999}
    changed = pa.Table.from_pylist(rows[:-5], schema=world.schema)
    expected = text_of(run_all(changed, model=matched.model).pairs)
    assert text_of(run_all(changed, cache=cache, model=matched.model).pairs) == expected
    for damage in (b"", b"\x93NUMPY rubbish", b"0" * 500):
        (cache / "base" / "ids.npy").write_bytes(damage)
        assert text_of(run_all(changed, cache=cache, model=matched.model).pairs) == expected
    values = np.load(cache / "base" / "ids.npy")
    np.save(cache / "base" / "ids.npy", values + np.int32(1))
    assert text_of(run_all(changed, cache=cache, model=matched.model).pairs) == expected
    (cache / "base" / "seal.json").write_text("[]")
    assert text_of(run_all(changed, cache=cache, model=matched.model).pairs) == expected


def test_a_few_changed_offers_give_the_pairs_of_the_full_run(world: pa.Table, matched: Matched) -> None:
    changed = pa.array(["feed0:3", "feed2:40", "feed1:11", "not there"])
    some = run_all(world, changed=changed, model=matched.model)
    assert some.figures["changed"] == 3
    full = {(pair["left_id"], pair["right_id"]): repr(pair) for pair in matched.pairs.to_pylist()}
    shared = [pair for pair in some.pairs.to_pylist() if (pair["left_id"], pair["right_id"]) in full]
    assert len(shared) >= 6
    assert all(full[pair["left_id"], pair["right_id"]] == repr(pair) for pair in shared)
    assert all({pair["left_id"], pair["right_id"]} & set(changed.to_pylist()) for pair in some.pairs.to_pylist())


def test_nothing_to_match_is_no_error() -> None:
    for rows in ([], [offer("a:1", title="Kettle")], [offer("a:1", title=""), offer("b:1", title="", feed="b")]):
        table = pa.Table.from_pylist(rows, schema=arrow_schema(Offer))
        found = run_all(table)
        assert found.pairs.num_rows == 0 and found.model.model_id


def test_hostile_titles_are_only_titles() -> None:
    titles = ["x" * 20_000, "مرحبا بالعالم 250 مل", "東芝 電気ケトル 1.5L", "'\"\\;--\x00\x1e", "  ", "ſtraße Ⅷ ﬁ", "a-" * 3000, "9" * 500]
    rows = [offer(f"{feed}:{place}", title=title, feed=feed, identity_hash=place) for feed in "ab" for place, title in enumerate(titles)]
    found = run_all(pa.Table.from_pylist(rows, schema=arrow_schema(Offer)))
    best = {pair["left_id"] for pair in found.pairs.to_pylist() if pair["left_id"][1:] == pair["right_id"][1:]}
    assert len(best) >= 6


def test_all_titles_equal_stays_bounded() -> None:
    rows = [offer(f"{feed}:{place}", title="Mug red", feed=feed, identity_hash=place) for feed in "ab" for place in range(300)]
    found = run_all(pa.Table.from_pylist(rows, schema=arrow_schema(Offer)))
    assert found.pairs.num_rows <= 600 * MATCHING.kept


@pytest.mark.parametrize(
    ("left", "right", "conflict"),
    [
        ("Cola 6 x 330 ml", "Cola 12 x 330 ml", "pack 6 against 12"),
        ("Cola 330 ml", "Cola 500 ml", "330 ml against 500 ml"),
        ("Cola 1,5 l", "Cola 1500ml", None),
        ("Cola 6 x 330 ml", "Cola 1980 ml", None),
        ("Cola 6 x 330 ml", "Cola 330 ml", None),
        ("Cola 350 ml", "Cola 12 fl oz", None),
        ("Cola", "Cola 500 ml", None),
    ],
)
def test_conflicts_in_words(left: str, right: str, conflict: str | None) -> None:
    rows = [offer("a:1", title=left), offer("b:1", title=right, feed="b", identity_hash=1)]
    (pair,) = run_all(pa.Table.from_pylist(rows, schema=arrow_schema(Offer))).pairs.to_pylist()
    assert pair["conflict"] == conflict


def test_shared_gtin_makes_a_pair_that_words_would_miss() -> None:
    rows = small_world(20).to_pylist()
    rows.append(offer("y:1", title="Wasserkocher", feed="y", gtin="04006381333931"))
    rows.append(offer("z:1", title="Bouilloire", feed="z", gtin="04006381333931", identity_hash=5))
    found = run_all(pa.Table.from_pylist(rows, schema=arrow_schema(Offer)))
    assert ("y:1", "z:1") in set(zip(found.pairs["left_id"].to_pylist(), found.pairs["right_id"].to_pylist(), strict=True))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_shared_keys_are_bounded_and_of_different_feeds(offers: list[tuple[int, int]], limit: int) -> None:
    keys = np.array([key for key, _ in offers], dtype=np.uint64)
    feeds = np.array([feed for _, feed in offers], dtype=np.int32)
    rows = np.arange(keys.size, dtype=np.int32)
    found = {tuple(pair) for pair in share_key(keys, feeds, rows, limit).tolist()}
    assert all(keys[a] == keys[b] != 0 and feeds[a] != feeds[b] and a < b for a, b in found)
    assert len(found) <= limit * keys.size
    for row in rows.tolist():
        partners = [other for other in rows.tolist() if keys[other] == keys[row] != 0 and feeds[other] != feeds[row]]
        assert not partners or any(row in pair for pair in found)


@given(st.lists(st.text(alphabet="abc 123-./äß", max_size=20), min_size=2, max_size=12))
@settings(max_examples=60, deadline=None)
def test_candidates_are_sorted_bounded_and_symmetric_in_similarity(titles: list[str]) -> None:
    index, _ = index_offers([{"title": title, "feed": str(place % 3)} for place, title in enumerate(titles)])
    graph = find_candidates(index, np.arange(index.size), 4)
    seen: dict[tuple[int, int], float] = {}
    for row in range(index.size):
        near = [(other, value) for other, value in zip(graph.near[row].tolist(), graph.similarity[row].tolist(), strict=True) if other >= 0]
        assert all(index.feeds[other] != index.feeds[row] for other, _ in near)
        assert [value for _, value in near] == sorted((value for _, value in near), reverse=True)
        for other, value in near:
            assert seen.setdefault((min(row, other), max(row, other)), value) == value


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_tokens_of_an_offer_do_not_depend_on_its_neighbours(titles: list[str]) -> None:
    table = pa.Table.from_pylist([offer(f"a:{place}", title=title, identity_hash=place) for place, title in enumerate(titles)], schema=arrow_schema(Offer))
    together = read_tokens(table)
    alone = join([read_tokens(table.slice(place, 1)) for place in range(len(titles))])
    for name in ("hashes", "flags", "grams", "amounts", "packs"):
        assert np.array_equal(getattr(together, name).start, getattr(alone, name).start)
        assert np.array_equal(getattr(together, name).values, getattr(alone, name).values)


def test_codes_are_read_with_and_without_separators() -> None:
    hashes = hash_texts(["WH-1000XM4", "wh 1000 xm4", "WH1000XM4", "wh1000xm5", "", None])
    assert hashes[0] == hashes[1] == hashes[2] != hashes[3]
    assert hashes[4] == hashes[5] == 0


def test_scripts_without_spaces_are_read_in_pairs_of_letters_which_have_words() -> None:
    (record,) = read_records([{"title": "晨光電気ケトル2升AC100 家 がくdesk 7"}])
    said = {record.shown[f"token {token}"] for token in record.only(WORD)}
    assert said == {"晨光", "光電", "電気", "気ケ", "ケト", "トル", "2", "升", "AC100", "家", "がく", "desk", "7"}
    assert {record.shown[f"token {token}"] for token in record.only(CODE)} == {"AC100"}


@pytest.mark.parametrize("name", shelf.names("features"))
def test_every_feature_keeps_the_shelfs_promises(name: str) -> None:
    assert [result for result in check_all(f"features:{name}") if result.fault] == []
    assert list(check_feature(shelf.component("features", name), OFFERS)) == []


def test_a_feature_that_breaks_the_rules_is_told_so() -> None:
    broken = SimpleNamespace(VIEW="content", DIRECTION=1, CASES=[({"title": "a"}, {"title": "b"}, 0.5)])
    broken.compare = lambda left, right: float(len(left.title))
    broken.words = lambda left, right, value: ""
    broken.column = lambda pairs: np.zeros(pairs.size, dtype=np.float32)
    faults = "; ".join(check_feature(broken, OFFERS))
    assert "not 0.5" in faults and "depends on the order" in faults and "and column() 0.0" in faults


def test_the_sample_gives_every_feature_something_to_say() -> None:
    pairs, _ = sample_pairs()
    for name in shelf.names("features"):
        column = shelf.component("features", name).column(pairs)
        assert len(set(column[~np.isnan(column)].tolist())) >= 2, name


def test_explain_sums_to_the_score_and_speaks(world: pa.Table, matched: Matched) -> None:
    rows = {row["offer_id"]: row for row in world.to_pylist()}
    pair = max(matched.pairs.to_pylist(), key=lambda row: (row["score"], row["left_id"]))
    bars = explain_pair(rows[pair["left_id"]], rows[pair["right_id"]], matched.model, pair["features"])
    assert 1 / (1 + np.exp(-sum(bar.contribution for bar in bars))) == pytest.approx(pair["score"], abs=1e-6)
    assert {bar.name for bar in bars} == {"prior", *matched.model.names}
    said = " | ".join(bar.words for bar in bars)
    assert "same code" in said and "?" not in said


def test_model_round_trip_and_refusal(matched: Matched, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    matched.model.save(folder)
    loaded = Model.load(folder)
    assert loaded.model_id == matched.model.model_id
    assert text_of(rescore(matched.pairs, loaded)) == text_of(matched.pairs)
    trees = folder / "trees_0.txt"
    good = trees.read_text()
    for bad in (good.replace("leaf_value", "leaf_valve", 1), good[: len(good) // 2], ""):
        trees.write_text(bad)
        with pytest.raises(BadInput, match="altered"):
            Model.load(folder)
    (folder / "model.json").write_text('{"format": "other"}')
    with pytest.raises(BadInput, match="not a pair scorer"):
        Model.load(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(BadInput, match="cannot be read"):
        Model.load(folder)
    with pytest.raises(BadInput, match="cannot be read"):
        Model.load(tmp_path / "nowhere")


def test_labels_teach_and_one_answer_is_refused(matched: Matched) -> None:
    features = np.asarray(matched.pairs["features"].to_pylist(), dtype=np.float32)
    # Here people call a pair the same if its prices lie close, whatever else it says: that must be learned.
    price = features[:, matched.model.names.index("price_ratio")]
    labels = (price < np.median(price)).astype(float)
    model = fit_labelled(features, labels, np.ones(labels.size), seed=1, base=None)
    scores = model.score(features)
    assert scores[labels == 1].mean() > scores[labels == 0].mean() + 0.3
    assert fit_labelled(features, labels, np.ones(labels.size), seed=1, base=None).model_id == model.model_id
    with pytest.raises(BadInput, match="only one answer"):
        fit_labelled(features, np.ones(labels.size), np.ones(labels.size), seed=1, base=matched.model)
