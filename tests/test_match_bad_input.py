"""Bad input of matching and deciding through the real flow: every catalog here is small, odd, and comes out whole."""

from __future__ import annotations

import csv
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Ran, endcap
from test_suspicion import catalog

from endcap import flow, settings
from endcap.feeds.release import release_delivery
from endcap.govern.promotion import break_glass as promote
from endcap.govern.promotion import rollback
from endcap.learn.evaluate.match import evaluate_match
from endcap.learn.train import train
from endcap.match import Model
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review.override import store
from endcap.review.queue import count_waiting

KINDS = ("kettle", "toaster", "desk lamp", "mixer", "grill", "fan")
Rows = list[dict[str, Any]]


def row(n: int, **fixed: Any) -> dict[str, Any]:
    """A plain offer; `fixed` replaces columns."""
    return {"id": f"x{n}", "title": f"Acme {KINDS[n % 6]} steel AC{1000 + 37 * n}", "mpn": "", "price": f"{20 + n}.50", **fixed}


def rows(count: int, *, first: int = 0, **fixed: Any) -> Rows:
    return [row(n, **fixed) for n in range(first, first + count)]


def reworded(count: int) -> Rows:
    """The same goods as another seller writes them."""
    return [row(n, title=f"{KINDS[n % 6]} AC-{1000 + 37 * n} by Acme") for n in range(count)]


def ran(folder: Path, feeds: dict[str, Rows]) -> tuple[Home, flow.RunResult, dict[str, str]]:
    """(home, what the run reports, offer -> product) of a catalog made and run; whatever came in, each offer has one decision."""
    made = catalog(folder, feeds)
    (result,) = flow.run(made)
    home = Home(made)
    return home, result, whole(home)


def whole(home: Home) -> dict[str, str]:
    """Checks what holds of every catalog: each offer has one decision, products count their offers; returns offer -> product."""
    with home.connect() as con:
        undecided = con.execute("SELECT offer_id FROM offers ANTI JOIN (SELECT * FROM decisions WHERE kind = 'product') d USING (offer_id)").fetchall()
        (counted,) = con.execute("SELECT coalesce(sum(offers), 0) FROM products WHERE state = 'live'").fetchall()
        placed = con.execute("SELECT offer_id, product_id FROM decisions WHERE kind = 'product' AND product_id IS NOT NULL ORDER BY 1").fetchall()
    assert undecided == [] and counted == (len(placed),)
    return dict(placed)


def joined(found: dict[str, str], count: int, one: str = "one", two: str = "two") -> int:
    """How many of the first goods are one product in two feeds."""
    return sum(found.get(f"{one}:x{n}", "none") == found.get(f"{two}:x{n}") for n in range(count))


def one_sentence(done: Ran) -> str:
    assert done.code == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


# --- codes and details ----------------------------------------------------------------------------------------------


def own_ean(n: int) -> str:
    """A valid EAN of the range that shops give out themselves, which is nobody else's."""
    digits = f"20{n:010d}"
    return digits + str(-sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10)


def test_eans_that_shops_give_out_themselves_contradict_nothing(tmp_path: Path) -> None:
    one = [row(n, gtin=own_ean(n)) for n in range(60)]
    two = [offer | {"gtin": own_ean(7 * n + 900)} for n, offer in enumerate(reworded(60))]
    _, result, found = ran(tmp_path, {"one": one, "two": two})
    assert "60 because its prefix" in str(result.deliveries) and joined(found, 60) >= 50


def test_a_detail_that_never_agrees_contradicts_nothing(tmp_path: Path) -> None:
    """Such as a reference of the seller's own under the same name."""
    catalog(tmp_path, {"one": rows(60), "two": [offer | {"price": f"{900 + n}.10"} for n, offer in enumerate(reworded(60))]})
    file = tmp_path / "endcap.yaml"
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    for feed in given["feeds"].values():
        feed["fields"] = {"id": "id", "title": "title", "details": {"reference": "price"}}
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    flow.run(settings.read(tmp_path))
    assert joined(whole(Home(settings.read(tmp_path))), 60) >= 50


def test_a_catalog_too_small_to_learn_from_asks(tmp_path: Path) -> None:
    home, result, found = ran(tmp_path, {"one": rows(20), "two": reworded(20)})
    with home.connect() as con:
        assert joined(found, 20) == 0 and count_waiting(con, 0) >= 15
    assert any("clear pairs to learn from" in notice for notice in result.notices)


# --- titles ---------------------------------------------------------------------------------------------------------


def test_offers_without_a_title_are_quarantined_with_a_sentence_and_the_others_matched(tmp_path: Path) -> None:
    blank = [row(100 + place, title=text) for place, text in enumerate(("", "   ", "\t", "\u200b"))]
    home, result, found = ran(tmp_path, {"one": rows(60) + blank, "two": reworded(60)})
    (one,) = [delivery for delivery in result.deliveries if delivery["feed"] == "one"]
    assert (one["read"], one["quarantined"], one["offers"]) == (64, 4, 60)
    with home.connect() as con:
        reasons = con.execute("SELECT reason FROM quarantined").fetchall()
    assert len(reasons) == 4 and all("title" in reason for (reason,) in reasons)
    assert joined(found, 60) >= 50


def test_titles_that_hold_no_word_make_no_heap(tmp_path: Path) -> None:
    empty = [row(n, title=("-", "...", "!!!", "1")[n % 4], price="9.50") for n in range(40)]
    _, _, found = ran(tmp_path, {"one": empty, "two": empty, "three": empty})
    sizes = Counter(found.values())
    assert max(sizes.values(), default=0) <= 3, "no offer says what it is, and no heap of them is a product"


LONG = """
import json, resource, sys, time
from pathlib import Path
from endcap import flow, settings
(result,) = flow.run(settings.read(Path(sys.argv[1])))
print(json.dumps({"cpu_s": time.process_time(), "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, **result.catalog}))
"""


@pytest.mark.nightly
def test_a_thousand_titles_of_20_000_characters_take_bounded_time_and_memory(tmp_path: Path) -> None:
    tail = " ".join(f"w{n % 911}x{n}" for n in range(3000))
    long = [{**one, "title": f"{one['title']} {tail[7 * n % 5000 :]}"[:20_000]} for n, one in enumerate(rows(500))]
    assert {len(one["title"]) for one in long} == {20_000}
    catalog(tmp_path, {"one": long, "two": long[::-1]})
    done = subprocess.run([sys.executable, "-c", LONG, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["offers"] == 1000
    assert figures["cpu_s"] < 40 and figures["mb"] < 1500, figures


def test_a_feed_whose_titles_are_all_equal_stays_apart_and_ends(tmp_path: Path) -> None:
    _, result, found = ran(tmp_path, {"one": rows(600, title="Acme kettle steel"), "two": rows(100)})
    of_one = [product for offer_id, product in found.items() if offer_id.startswith("one:")]
    assert len(set(of_one)) == len(of_one), "two offers of one feed are two products"
    assert any("600 of 600 offers of one have the same title" in notice for notice in result.notices)


# The same things as two sellers write them: words of our own in scripts without spaces, and from right to left.
CHINESE = [
    (f"{brand}{thing}{size}升不锈钢", f"不锈钢{size}升家用{thing} {brand}")
    for brand in ("晨光", "海蓝", "青山") for thing in ("电热水壶", "保温杯", "高压锅") for size in (2, 5)
]  # fmt: skip
JAPANESE = [
    (f"{brand}の{thing}{size}型", f"{size}型{thing}{brand}製")
    for brand in ("やまなみ", "うみかぜ", "ほしぞら") for thing in ("電気ケトル", "卓上ランプ", "コーヒーミル") for size in (20, 50)
]  # fmt: skip
HEBREW = [
    (f"{thing} {brand} {size} ליטר", f"{brand} {thing} {size} ליטר")
    for brand in ("גלים", "אורן") for thing in ("קומקום חשמלי", "סיר לחץ") for size in (2, 5)
]  # fmt: skip
ARABIC = [
    (f"{thing} {brand} {size} لتر", f"{brand} {thing} {size} لتر")
    for brand in ("موج", "نسيم") for thing in ("غلاية كهربائية", "قدر ضغط") for size in (2, 5)
]  # fmt: skip
SCRIPTS = {"chinese": CHINESE, "japanese": JAPANESE, "hebrew": HEBREW, "arabic": ARABIC}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], float]:
    """Score by pair, of a catalog in which two feeds offer all things of SCRIPTS, without prices, among plain goods."""
    feeds = {
        feed: [
            *(rows(40) if side == 0 else reworded(40)),
            *({"id": f"{name}{n}", "title": titles[side], "price": ""} for name, things in SCRIPTS.items() for n, titles in enumerate(things)),
        ]
        for side, feed in enumerate(("one", "two"))
    }
    home, _, _ = ran(tmp_path_factory.mktemp("scripts"), feeds)
    with home.connect() as con:
        return {(left, right): score for left, right, score in con.execute("SELECT left_id, right_id, score FROM pairs").fetchall()}


@pytest.mark.parametrize("name", SCRIPTS)
def test_other_scripts_are_compared_and_the_true_partner_is_liked_best(name: str, scripts: dict[tuple[str, str], float]) -> None:
    true = [(f"one:{name}{n}", f"two:{name}{n}") for n in range(len(SCRIPTS[name]))]
    assert not [pair for pair in true if pair not in scripts], "two offers of one product are candidates"
    first = sum(all(scripts[pair] > score for other, score in scripts.items() if other[0] == pair[0] and other != pair) for pair in true)
    assert first >= 0.75 * len(true), f"{first} of {len(true)}"


def test_control_characters_and_mixed_directions_do_not_hide_what_an_offer_says(tmp_path: Path) -> None:
    def odd(n: int, title: str) -> str:
        code, plain = title.split()[-1], title
        wide = code.translate({ord(letter): ord(letter) + 0xFEE0 for letter in "ACDEFG0123456789"})
        written = (
            f"\u202e{plain}\u202c", f"{plain[:7]}\u200b{plain[7:]}\x07", f"{plain[:5]}\u00a0{plain[5:]}".replace(code, wide),
            f"\u2067{plain}\u2069 מבצע", f"{plain[:4]}\x00\x1b[31m {plain[4:]}", f"👩‍👩‍👧 {plain} ﷺ",
        )  # fmt: skip
        return written[n % 6]

    strange = [{**one, "title": odd(n, one["title"])} for n, one in enumerate(reworded(60))]
    home, result, found = ran(tmp_path, {"one": rows(60), "two": strange})
    assert joined(found, 60) >= 50 and result.held == []
    with home.connect() as con:
        titles = [title for (title,) in con.execute("SELECT title FROM products WHERE state = 'live'").fetchall()]
    assert not [title for title in titles if any(letter < " " or letter in "\u200b\u202e\u202c\u2067\u2069" for letter in title)]


# --- prices and ids -------------------------------------------------------------------------------------------------


def test_without_prices_offers_are_matched_by_what_they_say(tmp_path: Path) -> None:
    _, _, found = ran(tmp_path, {"one": rows(60, price=""), "two": [{**one, "price": ""} for one in reworded(60)]})
    assert joined(found, 60) >= 50


@pytest.mark.nightly
def test_a_price_that_is_a_word_in_half_of_the_rows_holds_the_delivery_and_released_the_other_half_is_matched(tmp_path: Path) -> None:
    worded = [{**one, "price": "on request" if n % 2 else one["price"]} for n, one in enumerate(reworded(100))]
    home, result, found = ran(tmp_path, {"one": rows(100), "two": worded})
    (two,) = result.held
    assert (two["feed"], two["read"], two["quarantined"], len(found)) == ("two", 100, 50, 100)
    release_delivery(home, "two", two["date"], actor="tester", reason="half is better than nothing")
    (result,) = flow.run(home.catalog)
    found = whole(home)
    with home.connect() as con:
        reasons = con.execute("SELECT code, reason FROM quarantined WHERE feed = 'two'").fetchall()
    assert len(reasons) == 50 and all(code == "bad_price" and "'on request'" in reason for code, reason in reasons)
    assert result.held == [] and joined(found, 100) >= 45


def test_ids_that_collide_between_feeds_mean_nothing(tmp_path: Path) -> None:
    def numbered(goods: Rows, ids: range) -> Rows:
        return [{**one, "id": n} for n, one in zip(ids, goods, strict=True)]

    other = [row(n, title=f"Borealis garden {('hose', 'spade', 'rake')[n % 3]} BG{9000 + 53 * n}") for n in range(60)]
    _, _, found = ran(tmp_path, {"one": numbered(rows(60), range(60)), "two": numbered(other, range(60)), "three": numbered(reworded(60), range(59, -1, -1))})
    assert len(found) >= 150 and len({name.split(":")[1] for name in found}) == 60
    assert not [n for n in range(60) if found.get(f"one:{n}", "none") in (found.get(f"two:{n}"), found.get(f"three:{n}"))]
    assert sum(found.get(f"one:{n}", "none") == found.get(f"three:{59 - n}") for n in range(60)) >= 50


# --- order, answers, models -----------------------------------------------------------------------------------------


def shuffled(goods: Rows, seed: int) -> Rows:
    return random.Random(seed).sample(goods, len(goods))


def everything(home: Home) -> tuple[list[Any], list[Any]]:
    """All decisions on products and all pairs, without what names a run."""
    with home.connect() as con:
        columns = "offer_id, product_id, action, counterpart_offer_id, confidence, reason"
        decided = con.execute(f"SELECT {columns} FROM decisions WHERE kind = 'product' ORDER BY 1").fetchall()
        return decided, con.execute("SELECT left_id, right_id, score, model, features::VARCHAR FROM pairs ORDER BY 1, 2").fetchall()


def answer_by_hand(home: Home, pairs: list[tuple[str, str]], action: str) -> None:
    for left, right in pairs:
        with home.connect() as con:
            ((identity,),) = con.execute("SELECT identity_hash FROM offers WHERE offer_id = ?", [left]).fetchall()
            ((product,),) = con.execute("SELECT product_id FROM decisions WHERE kind = 'product' AND offer_id = ?", [right]).fetchall()
        store(
            home, offer_id=left, action=action, product_id=product, counterpart_offer_id=right, actor="tester", reason_code="", note="", undoes=None,
            identity_hash=identity,
        )  # fmt: skip


def test_a_supplier_that_numbers_its_offers_anew_takes_their_products_along(tmp_path: Path) -> None:
    """Its own products too, which no other offer holds; where two offers say the same, nobody guesses which is which."""
    twins = [{**one, "id": f"t{place}"} for place, one in enumerate(rows(1, first=200) * 2)]
    home, _, found = ran(tmp_path, {"one": rows(60), "two": [*reworded(40), *rows(30, first=100), *twins]})
    anew = [{**one, "id": f"new{one['id']}"} for one in [*reworded(40), *rows(30, first=100), *twins]]
    for feed, given in {"one": rows(60), "two": anew}.items():
        (tmp_path / "inbox" / "2026-03-02").mkdir(exist_ok=True)
        with (tmp_path / "inbox" / "2026-03-02" / f"{feed}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(given[0]))
            writer.writeheader()
            writer.writerows(given)
    (result,) = flow.run(home.catalog)
    (two,) = result.held
    release_delivery(home, "two", two["date"], actor="tester", reason="numbered anew, they wrote")
    flow.run(home.catalog)
    after = whole(home)
    assert [after.get(f"two:newx{n}") for n in range(100, 130)] == [found[f"two:x{n}"] for n in range(100, 130)]
    assert sum(after.get(f"two:newx{n}") == found[f"one:x{n}"] for n in range(40)) >= 35
    assert all(after[f"two:newt{n}"] not in (found["two:t0"], found["two:t1"]) for n in range(2))


@pytest.mark.nightly
def test_the_order_of_rows_changes_nothing_nor_do_training_promotion_and_rollback(tmp_path: Path) -> None:
    """Two catalogs of the same deliveries in another order of rows stay the same through every step, and rollback leads back to where it was."""
    goods = {"one": rows(60), "two": reworded(60)}
    homes = [ran(tmp_path / "plain", goods)[0], ran(tmp_path / "mixed", {feed: shuffled(some, 3) for feed, some in goods.items()})[0]]
    assert everything(homes[0]) == everything(homes[1])
    with homes[0].connect() as con:
        pairs = con.execute("SELECT left_id, right_id FROM pairs WHERE left_id LIKE 'one:%' AND right_id LIKE 'two:%' ORDER BY 1, 2").fetchall()
    same = [(left, right) for left, right in pairs if left[4:] == right[4:]][:20]
    different = [(left, right) for left, right in pairs if left[4:] != right[4:]][:20]
    assert len(same) == len(different) == 20
    states, models = [], []
    for home in homes:
        answer_by_hand(home, same, "same")
        answer_by_hand(home, different, "different")
        flow.run(home.catalog)
        before = everything(home)
        with home.writer():
            models.append(train(home, seed=7).model_id)
        promote(home, models[-1], actor="tester", reason="a test")
        flow.run(home.catalog)
        promoted = everything(home)
        rollback(home, actor="tester", reason="a test")
        flow.run(home.catalog)
        assert everything(home) == before != promoted
        found = whole(home)
        assert all(found[left] == found[right] for left, right in same) and not [1 for left, right in different if found[left] == found[right]]
        states.append((before, promoted))
    assert models[0] == models[1] and states[0] == states[1]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small live catalog, in which some offers wait for a person; to be copied before it is changed."""
    folder = tmp_path_factory.mktemp("live") / "catalog"
    folder.mkdir()
    dear = [{**one, "price": "999.00"} for one in reworded(5)]
    home, _, _ = ran(folder, {"one": rows(60), "two": dear + reworded(60)[5:]})
    with home.connect() as con:
        assert count_waiting(con, 0) > 0
    return folder


@pytest.fixture
def home(live: Path, tmp_path: Path) -> Home:
    return Home(settings.read(Path(shutil.copytree(live, tmp_path / "catalog"))))


def of_another_catalog(folder: Path, good: Model) -> None:
    other = replace(good, settings={"seed": 99})
    shutil.rmtree(folder)
    other.save(folder)


def endless_parts(folder: Path, good: Model) -> None:
    given = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**given, "parts": float("inf")}))


def deep(folder: Path, good: Model) -> None:
    (folder / "model.json").write_text("[" * 200_000)


def binary(folder: Path, good: Model) -> None:
    (folder / "trees_0.txt").write_bytes(bytes(range(256)) * 40)


@pytest.mark.parametrize("spoil", [of_another_catalog, endless_parts, deep, binary], ids=lambda spoil: spoil.__name__)
def test_a_spoilt_or_foreign_champion_is_refused_in_one_sentence_and_the_run_goes_on(spoil: Callable[[Path, Model], None], home: Home) -> None:
    first = str(home.champion("match"))
    good = Model.load(home.model_folder(first))
    second = replace(good, settings={"seed": 8})
    second.save(home.model_folder(second.model_id))
    promote(home, second.model_id, actor="tester", reason="a test")
    spoil(home.model_folder(second.model_id), good)
    (result,) = flow.run(home.catalog)
    refusals = [notice for notice in result.notices if second.model_id in notice]
    assert len(refusals) == 1 and f"decided with {first}" in refusals[0]
    assert home.champion("match") == first and len(whole(home)) >= 110


def test_what_is_no_model_is_not_promoted(home: Home) -> None:
    first = str(home.champion("match"))
    good = Model.load(home.model_folder(first))
    for parts in ((), ("not trees",), (good.parts[0][: len(good.parts[0]) // 2],)):
        wrong = replace(good, parts=parts, settings={"seed": 8})
        wrong.save(home.model_folder(wrong.model_id))
        with pytest.raises(BadInput, match="no trees"):
            promote(home, wrong.model_id, actor="tester", reason="a test")
    for name in ("nonsense", f"../models/{first}", "", "\u202e", "\x00", "x" * 5000):
        with pytest.raises(BadInput):
            promote(home, name, actor="tester", reason="a test")
    assert "cannot be read" in one_sentence(endcap("promote", "../models", "--break-glass", "--reason", "x", "--dir", home.catalog.root))
    assert home.champion("match") == first


# --- answers and labels ---------------------------------------------------------------------------------------------


@pytest.mark.nightly
def test_nonsense_typed_as_answers_is_asked_again_and_stores_nothing(home: Home) -> None:
    folder = home.catalog.root
    given = "²\n12\n-1\nyes please no\x07\nnone\n\x00\n" + "y" * 5000 + "\n\nq\n"
    done = endcap("review", "--dir", folder, "--by", "tester", given=given)
    assert done.code == 0 and "Traceback" not in done.stderr, done.stderr
    assert home.override_sequence() == 0 and "5 wait for a person" in done.stdout and "[2/5]" not in done.stdout
    assert endcap("audit", "--dir", folder, "--by", "tester", given="none\nyesterday\n²\nq\n").code == 0
    assert home.override_sequence() == 0


def test_answers_about_what_is_not_there_change_nothing(home: Home) -> None:
    before = whole(home)
    real, other = sorted(before)[:2]
    for offer_id, product_id, counterpart in (
        ("one:nowhere", before[real], real), ("", "", ""), (real, "p-none", "two:nowhere"), (other, before[other], other),
        ("'; DROP TABLE offers --", None, None),
    ):  # fmt: skip
        for action in ("same", "different", "other", "skip"):
            store(
                home, offer_id=offer_id, action=action, product_id=product_id, counterpart_offer_id=counterpart, actor="tester", reason_code="no\x07reason",
                note="\u202e" * 50, undoes=None, identity_hash=-1,
            )  # fmt: skip
    flow.run(home.catalog)
    after = whole(home)
    assert {name: product for name, product in before.items() if name not in (real, other)}.items() <= after.items()
    with home.writer(), pytest.raises(BadInput, match="too few answers"):
        train(home, seed=7)


def test_accepting_what_is_no_suspicion_ends_in_one_sentence(home: Home) -> None:
    for name in ("everything", "", "source_key;drop", "²", "\u202e"):
        with pytest.raises(BadInput, match="there is no suspicion") as refused:
            flow.run(home.catalog, accept=["source_key", name])
        assert "source_key" in refused.value.todo
    assert "there is no suspicion" in one_sentence(endcap("run", "--dir", home.catalog.root, "--accept", ""))


@pytest.mark.nightly
def test_labels_that_contradict_themselves_are_counted_and_weighed(tmp_path: Path) -> None:
    def write(name: str, head: list[str], lines: list[list[object]]) -> None:
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([head, *lines])

    for side, goods in (("left", rows(90)), ("right", reworded(90))):
        write(f"{side}.csv", ["id", "title", "price"], [[n, one["title"], one["price"]] for n, one in enumerate(goods)])
    pairs: list[list[object]] = [[n, (n + step) % 90, int(step == 0)] for n in range(90) for step in (0, 6)]
    third = {split: [pair for pair in pairs if int(str(pair[0])) % 3 == place] for place, split in enumerate(("train", "valid", "test"))}
    for split, lines in third.items():
        write(f"{split}.csv", ["ltable_id", "rtable_id", "label"], lines)
    plain = evaluate_match(tmp_path)
    flipped = [[left, right, 1 - int(str(label))] for left, right, label in third["train"][:20]]
    write("train.csv", ["ltable_id", "rtable_id", "label"], [*third["train"], *flipped, *third["train"][20:22]])
    done = endcap("evaluate", "match", tmp_path, "--json")
    assert done.code == 0, done.stderr
    assert (plain["contradictions"], done.json["contradictions"], done.json["pairs"]) == (0, 20, 60)
    assert done.json["f1"] > 0.9, "what contradicts itself cannot outweigh the rest"
    one_sentence(endcap("evaluate", "match", tmp_path, "--labels", "²"))


def test_what_was_linked_before_the_right_one_came_is_decided_again(tmp_path: Path) -> None:
    """Half of the goods come a day later: whoever was likest until then is not kept for that."""
    early, late = [offer for n, offer in enumerate(reworded(80)) if n % 2], reworded(80)
    catalog(tmp_path, {"one": rows(80), "two": early})
    shutil.copytree(tmp_path / "inbox" / "2026-03-01", tmp_path / "inbox" / "2026-03-02")
    with (tmp_path / "inbox" / "2026-03-02" / "two.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(late[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(late)
    flow.run(settings.read(tmp_path))
    twice = whole(Home(settings.read(tmp_path)))
    (tmp_path / "once").mkdir()
    _, _, once = ran(tmp_path / "once", {"one": rows(80), "two": late})
    assert joined(twice, 80) == joined(once, 80) >= 65
