"""The infer room: taxonomy, what is known, facts with evidence; and the shared checks of the attributes shelf."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap import shelf
from endcap.decide.inputs import SURE_FACT
from endcap.infer import find_facts, learn_known, load_known
from endcap.infer.attributes import OfferText, best
from endcap.infer.brands import Brands, brand_key, learn_brands
from endcap.infer.categories import Categories, pooled
from endcap.infer.known import Known
from endcap.infer.path_words import PathWords, path_levels
from endcap.infer.taxonomy import Category, read_taxonomy
from endcap.problems import BadInput
from endcap.schema import Fact, Offer, arrow_schema

ATTRIBUTES = shelf.components("attributes")
NOTHING = Known(Brands(), Categories())
TAXONOMY = """category,words
Food > Coffee,coffee|coffee beans|Kaffee|Kaffeebohnen|espresso
Food > Tea,tea|Tee|Kräutertee
Home > Shampoo,shampoo|hair wash|Haarshampoo
Home > Shower Gel,shower gel|Duschgel
Electronics > Headphones,headphones|Kopfhörer|headset
"""
GOODS = {
    "Coffee": ("Food > Coffee", "Heißgetränke|Kaffee", "hot-drinks-coffee", ["Crema beans dark 500 g", "Espresso ground 250 g", "Filter coffee 1 kg"]),
    "Tea": ("Food > Tea", "Heißgetränke|Tee", "hot-drinks-tea", ["Herbal tea fennel 20 bags", "Green tea sencha 100 g", "Peppermint tea 25 Beutel"]),
    "Shampoo": ("Home > Shampoo", "Haar|Shampoos", "hair-shampoos", ["Shampoo repair 250 ml", "Volume hair shampoo 300 ml", "Anti-dandruff shampoo 200 ml"]),
    "Gel": ("Home > Shower Gel", "Bad|Duschgel", "bath-shower-gel", ["Shower gel lemon 250 ml", "Shower gel men 300 ml", "Creamy shower gel honey 200 ml"]),
    "Phones": ("Electronics > Headphones", "Audio|Kopfhörer", "audio-headphones", ["Headphones black", "Headset with microphone", "Over-ear headphones"]),
}
BRANDS = ("Norlys", "Vandekamp", "Kaio & Söhne", "Tresk", "Ollamar")


def offer(feed: str, number: int, title: str, **fields: Any) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(arrow_schema(Offer).names)
    details = fields.pop("details", None)
    given = {
        "offer_id": f"{feed}:{number}", "feed": feed, "supplier": feed, "source_id": str(number), "title": title, "delivery_id": f"{feed}@2026-01-01",
        "position": number, "raw_hash": 0, "identity_hash": 0, "run": 1, "gone": False, "details_json": json.dumps(details) if details else None,
    }  # fmt: skip
    return {**blank, **given, **fields}


def world(offers_a_kind: int = 40, seed: int = 1) -> tuple[pa.Table, dict[str, str]]:
    """Offers of three feeds (a path in German, a slug, none) and their true categories."""
    draw = random.Random(seed)
    rows, truth = [], {}
    for category, path, slug, titles in GOODS.values():
        for _ in range(offers_a_kind):
            number, brand = len(rows), draw.choice(BRANDS)
            feed = draw.choice(["alpha", "beta", "gamma"])
            title = f"{brand} {draw.choice(titles)}"
            where = {"alpha": " > ".join(path.split("|")), "beta": slug, "gamma": None}[feed]
            stated = {"alpha": brand, "beta": brand.upper() if draw.random() < 0.3 else brand, "gamma": None}[feed]
            rows.append(offer(feed, number, title, category_path=where, brand=stated))
            truth[f"{feed}:{number}"] = category
    return pa.Table.from_pylist(rows, schema=arrow_schema(Offer)), truth


@pytest.fixture(scope="module")
def taxonomy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("taxonomy") / "taxonomy.csv"
    file.write_text(TAXONOMY, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def known(taxonomy: Path) -> Known:
    return learn_known(world()[0], taxonomy, seed=7)


def values(facts: pa.Table, attribute: str) -> dict[str, str]:
    return {row["offer_id"]: row["value"] for row in facts.to_pylist() if row["attribute"] == attribute}


# The shelf: what holds for every attribute.


@pytest.mark.parametrize("name", list(ATTRIBUTES))
def test_attribute_states_itself_and_its_cases_hold(name: str) -> None:
    component = ATTRIBUTES[name]
    assert shelf.words("attributes", name).endswith((".", ". ")) and len(shelf.words("attributes", name)) > 20
    assert isinstance(component.VERSION, int)
    assert len(component.CASES) >= 2 and {expected is None for _offer, expected in component.CASES} == {True, False}
    for fields, expected in component.CASES:
        found = best(component.find(OfferText(**fields), NOTHING))
        assert (found.value if found else None) == expected, fields


def _check_found(component: ModuleType, given: OfferText, known: Known) -> None:
    found = component.find(given, known)
    assert found == component.find(given, known)
    if hasattr(component, "find_all"):
        assert component.find_all([given, OfferText("Other thing"), given], known)[::2] == [found, found]
    for one in found:
        assert one.value and 0 <= one.confidence <= 1
        text = given.details[one.field.removeprefix("details.")] if (one.field or "").startswith("details.") else getattr(given, one.field or "title")
        assert text is not None
        assert one.start is None or (one.end is not None and 0 <= one.start <= one.end <= len(text))


@pytest.mark.parametrize("name", list(ATTRIBUTES))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_attribute_never_fails_and_its_evidence_lies_in_the_text(name: str, data: st.DataObject, known: Known) -> None:
    pieces = st.sampled_from(
        ["6 x 1,5 l", "Gr. L", "black", "Norlys", "3er Pack", "12-", "Kaffee", " > ", "shampoo", "XL", "(", "½", "Größe", "99999 pcs", "0"]
    )
    text = st.lists(pieces | st.text(max_size=8), max_size=6).map(" ".join)
    optional = st.none() | text
    given_offer = OfferText(
        data.draw(text), data.draw(st.sampled_from(["alpha", "unheard"])), data.draw(optional), None, data.draw(optional), data.draw(optional),
        data.draw(st.dictionaries(st.sampled_from(["colour", "size", "pack", "volume"]), text, max_size=2)),
    )  # fmt: skip
    _check_found(ATTRIBUTES[name], given_offer, known)


# Taxonomy.


def test_taxonomy_reads_paths_and_words(taxonomy: Path) -> None:
    categories = read_taxonomy(taxonomy)
    assert categories[0] == Category("Food > Coffee", ("coffee", "coffee beans", "Kaffee", "Kaffeebohnen", "espresso"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,words\nA,b\n", "line 1"),
        ("category,words\n", "no category"),
        ("category,words\nA > B,x\n > C,y\nA > B,z\n,w\n", "3 mistakes"),
        ("category,words\nA > B\n", "line 2"),
        ("category,words\nA > B,one,two\n", "line 2"),
        ('category,words\n"A > B,one\n', "not readable"),
    ],
)
def test_taxonomy_mistakes_are_said_with_their_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match=said):
        read_taxonomy(file)


def test_missing_and_binary_taxonomy_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no taxonomy file"):
        read_taxonomy(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"category,words\n\xff\xfe,x\n")
    with pytest.raises(BadInput, match="UTF-8"):
        read_taxonomy(tmp_path / "b.csv")


def test_the_grocers_taxonomy_is_valid() -> None:
    file = Path(__file__).resolve().parents[1] / "examples" / "grocers" / "taxonomy.csv"
    categories = read_taxonomy(file)
    assert len(categories) >= 40
    assert all(len(category.levels) == 2 and category.words for category in categories)


# Paths.


def test_path_words_read_trees_and_slugs() -> None:
    words = PathWords(read_lines(TAXONOMY))
    for path in ("Heißgetränke > Kaffee", "hot-drinks-coffee", "Drinks > Coffee Beans & More", "kaffee-3pQ2BgJHaU-IGmVYX-ohNA"):
        probabilities, none = words.probabilities(path)
        assert max(probabilities, key=lambda number: probabilities[number]) == 0
        assert probabilities[0] > 0.6 > none, path
    probabilities, none = words.probabilities("Specials of the week")
    assert none > 0.6 and sum(probabilities.values()) < 0.3


def read_lines(text: str) -> list[Category]:
    rows = [line.split(",") for line in text.strip().split("\n")[1:]]
    return [Category(path, tuple(words.split("|"))) for path, words in rows]


def test_path_levels_drop_machine_ids() -> None:
    assert path_levels("desserts-eis-ZnMwUBDb0E2xJsqXhm335Q-3ccm10CgLEWy6nqQM6Kc0Q") == ["desserts eis"]
    assert path_levels("A > B/C >  D ") == ["A", "B/C", "D"]


# Brands.


def test_brands_are_collected_under_one_spelling_and_sentences_are_none() -> None:
    brands = learn_brands(
        [("a", "L'Oréal", 5), ("b", "L OREAL", 2), ("b", "Lowest price in 30 days: 1.39", 40), ("a", "n/a", 9), ("a", None, 3)],
        [("L'Oréal shampoo", "L'Oréal"), ("Oil like L'Oréal", "Tresk")],
    )
    assert list(brands.by_key) == ["loreal"]
    assert (brands.by_key["loreal"].name, brands.by_key["loreal"].offers, brands.by_key["loreal"].feeds) == ("L'Oréal", 7, 2)
    assert brands.trust["b"] < 0.1 < brands.trust["a"]
    assert brands.by_key["loreal"].at_start > brands.by_key["loreal"].inside
    title = "New L OREAL shampoo"
    mention = brands.mentions(title)[0]
    assert (mention.first, title[mention.start : mention.end]) == (False, "L OREAL")


@pytest.mark.parametrize("text", ["", "  ", "1.39", "5 %", "Unbekannt", "N/A", "no brand", "12345", "x", "A name that is in truth a sentence", "2,50 EUR"])
def test_these_are_no_brands(text: str) -> None:
    assert brand_key(text) == ""


# Known and facts.


def test_categories_are_found_with_path_slug_and_title_alone(known: Known) -> None:
    offers, truth = world(seed=2)
    found = values(find_facts(offers, known, run=3), "category")
    for feed, least in (("alpha", 0.99), ("beta", 0.99), ("gamma", 0.9)):
        asked = [offer_id for offer_id in truth if offer_id.startswith(feed)]
        right = np.mean([found.get(offer_id) == truth[offer_id] for offer_id in asked])
        assert right >= least, (feed, right)


def test_brands_are_found_in_field_and_title(known: Known) -> None:
    offers, _truth = world(seed=3)
    found = values(find_facts(offers, known, run=3), "brand")
    expected = {row["offer_id"]: next(brand for brand in BRANDS if row["title"].startswith(brand)) for row in offers.to_pylist()}
    assert {offer_id: found.get(offer_id) for offer_id in expected} == expected


def test_facts_have_the_schema_are_sorted_and_do_not_depend_on_order_batches_or_neighbours(known: Known) -> None:
    offers, _truth = world(seed=4)
    facts = find_facts(offers, known, run=5)
    assert facts.schema.equals(arrow_schema(Fact))
    keys = list(zip(facts["offer_id"].to_pylist(), facts["attribute"].to_pylist(), strict=True))
    assert keys == sorted(set(keys))
    shuffled = offers.take(np.random.default_rng(1).permutation(offers.num_rows))
    assert find_facts(shuffled, known, run=5, batch_rows=17, cores=1).equals(facts)
    few = offers.slice(10, 25)
    kept = set(few["offer_id"].to_pylist())
    assert find_facts(few, known, run=5).to_pylist() == [row for row in facts.to_pylist() if row["offer_id"] in kept]
    assert find_facts(offers.slice(0, 0), known, run=5).num_rows == 0


def test_known_is_deterministic_independent_of_order_and_survives_saving(taxonomy: Path, known: Known, tmp_path: Path) -> None:
    offers, _truth = world()
    shuffled = offers.take(np.random.default_rng(5).permutation(offers.num_rows))
    assert learn_known(shuffled, taxonomy, seed=7).known_id == known.known_id
    assert learn_known(offers.slice(30), taxonomy, seed=7).known_id != known.known_id
    known.save(tmp_path)
    again = load_known(tmp_path)
    assert again.known_id == known.known_id
    assert find_facts(offers, again, run=1).equals(find_facts(offers, known, run=1))


@pytest.mark.parametrize("file", ["known.json", "brands.csv", "paths.csv", "weights.npy", "id.txt"])
def test_damaged_known_is_bad_input(known: Known, tmp_path: Path, file: str) -> None:
    known.save(tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[:-20] if len(content) > 20 else b"0")
    with pytest.raises(BadInput, match="brands and categories"):
        load_known(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(BadInput, match="learns anew"):
        load_known(tmp_path)


def test_without_taxonomy_the_suppliers_own_level_is_named_as_such_and_capped() -> None:
    offers, _truth = world(seed=6)
    facts = find_facts(offers, learn_known(offers, None, seed=7), run=1)
    rows = [row for row in facts.to_pylist() if row["attribute"] == "category"]
    assert {row["value"] for row in rows if row["offer_id"].startswith("alpha")} == {"Kaffee", "Tee", "Shampoos", "Duschgel", "Kopfhörer"}
    assert {row["extractor"] for row in rows} == {"category.supplier_path@1"}
    assert max(row["confidence"] for row in rows) <= 0.5
    assert not any(row["offer_id"].startswith("gamma") for row in rows)


def test_a_path_never_seen_is_mapped_by_its_words(known: Known) -> None:
    offers = pa.Table.from_pylist([offer("delta", 1, "Nr. 7", category_path="Getränke > Bohnenkaffee")], schema=arrow_schema(Offer))
    assert values(find_facts(offers, known, run=1), "category") == {"delta:1": "Food > Coffee"}


@pytest.mark.parametrize(
    ("title", "sure"),
    [
        ("Flour 7.5 kg", True), ("Flour 7 5kg", False), ("Flour 7  5 kg", False), ("Set 6 330 ml", True),
        ("Cream 50 ml, sample 5 ml", False), ("Drive 64 GB", True), ("Phone 7 64 GB", True),
        ("Table 195 cm", False), ("Table 195 cm x 55 cm", False),
    ],
)  # fmt: skip
def test_an_amount_that_may_mean_something_else_forbids_no_link(title: str, sure: bool) -> None:
    """Two shops that write '7 5kg', or one of a table's measures each, do not contradict each other."""
    (found,) = ATTRIBUTES["quantity"].find(OfferText(title=title), NOTHING)
    assert (found.confidence >= SURE_FACT) == sure


def test_details_quantity_text_and_title_are_read(known: Known) -> None:
    offers = pa.Table.from_pylist(
        [offer("delta", 1, "Runner shoe", quantity_text="2 x 0,5 l", details={"color": "Dunkelblau", "size": "eu 42,5"})], schema=arrow_schema(Offer)
    )
    rows = {row["attribute"]: row for row in find_facts(offers, known, run=9).to_pylist()}
    assert {name: (row["value"], row["unit"]) for name, row in rows.items() if name != "category"} == {
        "colour": ("navy", None), "pack_count": ("2", None), "quantity": ("500", "ml"), "size": ("42.5", "EU"),
    }  # fmt: skip
    assert rows["colour"]["evidence_field"] == "details.color"
    assert (rows["quantity"]["evidence_start"], rows["quantity"]["evidence_end"], rows["quantity"]["run"]) == (4, 9, 9)
    assert rows["size"]["extractor"] == "size@1" and rows["size"]["model"] is None


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=6), st.lists(st.floats(0.001, 1), min_size=6, max_size=6))
def test_pooled_opinions_are_probabilities_and_either_may_be_missing(path: list[float], title: list[float]) -> None:
    left = np.array(path, np.float32) / np.float32(sum(path))
    right = np.array(title[: len(path)], np.float32) / np.float32(sum(title[: len(path)]))
    both = pooled(left, right)
    assert both is not None and both.sum() == pytest.approx(1, abs=1e-4) and (both > 0).all()
    assert pooled(None, right) is right and pooled(left, None) is left and pooled(None, None) is None
