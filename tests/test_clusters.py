"""What always holds of clusters and ids, whatever the catalog: shown on worlds drawn by hypothesis, by `rule` alone and through the deciding stage."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap import schema
from endcap.decide import decide
from endcap.decide.answers import Answers, Placement
from endcap.decide.deciding import Ruling, rule
from endcap.decide.inputs import Inputs, OpenOffer
from endcap.decide.policy import Edge
from endcap.settings import Catalog, Policy

POLICY = Policy()
SEEDS = st.integers(0, 2**32 - 1)
HIGH, LOW = (0.6, 0.86, 0.9, 0.97, 0.99), (0.01, 0.1, 0.4, 0.6)
COLOURS = ("red", "blue", "white")


@dataclass(frozen=True)
class World:
    """Inputs of one run of deciding, with the products that are there in truth (offer id -> number)."""

    inputs: Inputs
    truth: Mapping[str, int]

    def open_placements(self) -> list[tuple[str, Placement]]:
        """People's placements of the offers that are decided now."""
        return [(name, placement) for name, placement in self.inputs.answers.placed.items() if name in self.inputs.offers]

    def product_of(self, rulings: Mapping[str, Ruling]) -> dict[str, str | None]:
        """Offer -> product, of open and settled offers."""
        found: dict[str, str | None] = {name: product for product, names in self.inputs.settled.items() for name in names}
        return {**found, **{name: ruling.product_id for name, ruling in rulings.items()}}


def drawn(seed: int, *, contradicting: bool = False, answered: bool = True, settled: bool = True) -> World:
    """A world of up to 14 offers. Its answers agree with the truth unless `contradicting`: then people say anything."""
    dice = random.Random(seed)
    names = sorted(dice.sample([f"{feed}:{number}" for feed in "abcdefg" for number in (1, 2)], dice.randint(2, 14)))
    truth = {name: dice.randrange(dice.choice((2, 3, 5))) for name in names}
    known = {number for number in set(truth.values()) if settled and dice.random() < 0.5}
    at_rest = {name for name in names if truth[name] in known and dice.random() < 0.4}
    products: dict[str, dict[str, str]] = {}
    for name in sorted(at_rest):
        products.setdefault(f"P{truth[name]}", {})[name] = name[0]
    waiting = [name for name in names if name not in at_rest]
    home = {number: f"P{number}" if f"P{number}" in products else f"Q{number}" for number in truth.values()}
    before = {name: home[truth[name]] for name in waiting if settled and dice.random() < 0.4}
    renamed = {name for name in before if dice.random() < 0.1}
    offers = {
        name: OpenOffer(name, name[0], "Acme Kettle K100", None, 1, "Garden hose 20 m" if name in renamed else None, None) for name in waiting
    }  # fmt: skip
    stated = {name: {"colour": COLOURS[(truth[name] + (dice.random() < 0.1)) % 3]} for name in names if dice.random() < 0.3}
    return World(
        Inputs(
            offers=offers, edges=_edges(dice, names, at_rest, truth), stated=stated,
            answers=_answers(dice, names, truth, home, products, contradicting) if answered else Answers(),
            before=before, settled=products, founders={product: min(held) for product, held in products.items()}, states={},
            taken=frozenset(products) | frozenset(before.values()),
        ),
        truth,
    )  # fmt: skip


def _edges(dice: random.Random, names: list[str], at_rest: set[str], truth: Mapping[str, int]) -> tuple[Edge, ...]:
    found = []
    for left, right in combinations(names, 2):
        if {left, right} <= at_rest or dice.random() < 0.3:
            continue
        alike = (truth[left] == truth[right]) != (dice.random() < 0.15)
        conflict = "pack 6 against 12" if dice.random() < 0.05 else None
        found.append(Edge(left, right, dice.choice(HIGH if alike else LOW), conflict, dice.random() < 0.1, 9.0 if dice.random() < 0.05 else None))
    return tuple(found)


def _answers(
    dice: random.Random, names: list[str], truth: Mapping[str, int],
    home: Mapping[int, str], products: Mapping[str, Any], contradicting: bool,
) -> Answers:  # fmt: skip
    """Answers on random pairs, in the shape that `standing` gives them (no answer against itself); what people say is the truth, or anything at all."""
    placed: dict[str, Placement] = {}
    apart: dict[str, set[str]] = {}
    apart_offers: dict[str, set[str]] = {}
    alone: set[int] = set()
    for number in range(dice.randint(0, 2 * len(names))):
        name, other = dice.choice(names), dice.choice(names)
        last = placed.get(name)
        if name == other or (last is not None and other == last.counterpart):
            continue
        same = dice.random() < 0.5 if contradicting else truth[name] == truth[other]
        if same and name not in placed and other not in apart_offers.get(name, ()) and home[truth[other]] not in apart.get(name, ()):
            placed[name] = Placement(home[truth[other]], other, number, dice.choice((1, 1, 1, 2)), "same", "kim")
        elif not same and not any({name, other} <= held.keys() for held in products.values()):
            apart_offers.setdefault(name, set()).add(other)
            apart_offers.setdefault(other, set()).add(name)
            if dice.random() < 0.3 and (last is None or last.product_id != home[truth[other]]):
                apart.setdefault(name, set()).add(home[truth[other]])
        if not same and home[truth[name]] not in products and name not in placed and truth[name] not in alone and dice.random() < 0.1:
            alone.add(truth[name])
            placed[name] = Placement(None, None, number, 1, "new", "kim")
    frozen = [{name: frozenset(sorted(found)) for name, found in sorted(table.items())} for table in (apart, apart_offers)]
    return Answers(placed, frozen[0], frozen[1])


def shuffled(given: Inputs, dice: random.Random) -> Inputs:
    """The same inputs with everything in another order."""

    def mixed(items: Iterable[Any]) -> list[Any]:
        found = list(items)
        return dice.sample(found, len(found))

    answers = Answers(*(dict(mixed(table.items())) for table in (given.answers.placed, given.answers.apart, given.answers.apart_offers)))
    return replace(
        given,
        offers=dict(mixed(given.offers.items())),
        edges=tuple(mixed(given.edges)),
        stated=dict(mixed(given.stated.items())),
        answers=answers,
        before=dict(mixed(given.before.items())),
        settled={product: dict(mixed(held.items())) for product, held in mixed(given.settled.items())},
        founders=dict(mixed(given.founders.items())),
    )  # fmt: skip


def check_cannot_links(world: World, product_of: Mapping[str, str | None], rulings: Mapping[str, Ruling]) -> None:
    for name, others in world.inputs.answers.apart_offers.items():
        for other in others:
            assert product_of[name] is None or product_of[name] != product_of[other], f"{name} and {other} are held apart"
    for name in world.inputs.answers.apart.keys() & rulings.keys():
        forbidden = world.inputs.answers.apart[name]
        assert not {rulings[name].product_id, rulings[name].proposed_product_id} & forbidden, name


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(SEEDS)
def test_what_people_said_holds_in_every_world(seed: int) -> None:
    """Cannot-links and must-links, one product an offer, and nothing that was settled moves."""
    world = drawn(seed)
    rulings = rule(world.inputs, POLICY)
    assert rulings.keys() == world.inputs.offers.keys(), "each open offer has one ruling, a settled one has none"
    product_of = world.product_of(rulings)
    check_cannot_links(world, product_of, rulings)
    for name, placement in world.open_placements():
        counterpart = placement.counterpart
        if placement.identity_hash != 1 and rulings[name].product_id != product_of.get(counterpart or ""):
            assert rulings[name].product_id in (None, world.inputs.before.get(name)), "what the supplier changed since is moved by no answer"
        elif counterpart is None or product_of[counterpart] is None:
            assert rulings[name].product_id is not None or placement.identity_hash != 1
        else:
            assert rulings[name].product_id == product_of[counterpart], f"{name} is the same as {counterpart}"
        assert (rulings[name].action == "to_review") == (placement.identity_hash != 1)
    for name, ruling in rulings.items():
        assert (ruling.product_id is None) <= (ruling.action == "to_review"), name


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(SEEDS)
def test_where_people_contradict_each_other_nothing_is_decided_against_any_of_them(seed: int) -> None:
    """A must-link holds or is asked about again; a cannot-link holds always."""
    world = drawn(seed, contradicting=True)
    rulings = rule(world.inputs, POLICY)
    assert rulings.keys() == world.inputs.offers.keys()
    product_of = world.product_of(rulings)
    check_cannot_links(world, product_of, rulings)
    for name, placement in world.open_placements():
        if placement.counterpart is not None and product_of[placement.counterpart] is not None and rulings[name].action != "to_review":
            assert rulings[name].product_id == product_of[placement.counterpart], f"{name} is the same as {placement.counterpart}"


@settings(max_examples=500, deadline=None, derandomize=True)
@given(SEEDS, st.booleans())
def test_the_order_of_offers_edges_and_answers_changes_nothing(seed: int, contradicting: bool) -> None:
    world = drawn(seed, contradicting=contradicting).inputs
    assert rule(shuffled(world, random.Random(seed)), POLICY) == rule(world, POLICY)


# --- product ids through re-training ---------------------------------------------------------------------------------


def counted(before: Mapping[str, str], now: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """(former product, product now) -> offers."""
    return Counter((before[name], now[name]) for name in before.keys() & now.keys())


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from([0.0, 0.1, 0.4]))
def test_a_product_that_keeps_most_of_its_offers_keeps_its_id_through_retraining(seed: int, changed: float) -> None:
    """Everything is decided anew under other scores; who has most of a product's offers, and of its own offers most from there, is that product."""
    dice = random.Random(seed)
    world = drawn(seed, answered=False, settled=False).inputs
    before = {name: ruling.product_id for name, ruling in rule(world, POLICY).items() if ruling.product_id}
    edges = tuple(replace(one, score=dice.choice(HIGH + LOW)) if dice.random() < changed else one for one in world.edges)
    anew = replace(world, edges=edges, before=before, founders={product: min(held) for product, held in _members(before).items()})
    anew = replace(anew, taken=frozenset(before.values()))
    rulings = rule(anew, POLICY)
    now = {name: ruling.product_id for name, ruling in rulings.items() if ruling.product_id}
    if not changed:
        assert now == before
    sizes_before, sizes_now = Counter(before.values()), Counter(now.values())
    for (former, product), count in counted(before, now).items():
        if 2 * count > sizes_before[former] and 2 * count > sizes_now[product]:
            assert product == former, f"{former} kept {count} of its {sizes_before[former]} offers"
    for product in set(now.values()) - set(before.values()):
        assert product not in anew.taken, "a new id repeats no earlier one"
    assert {name: ruling.product_id for name, ruling in rule(shuffled(anew, dice), POLICY).items() if ruling.product_id} == now


def _members(product_of: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, product in sorted(product_of.items()):
        found.setdefault(product, []).append(name)
    return found


# --- sequences of runs through the deciding stage --------------------------------------------------------------------


@dataclass
class Shop:
    """The tables that the deciding stage reads, in memory, named as the lake names them: `<table>` current, `<table>_log` all."""

    logs: dict[type[schema.Row], list[pa.Table]] = field(default_factory=dict)
    overrides: list[dict[str, Any]] = field(default_factory=list)

    def append(self, noun: type[schema.Row], rows: list[dict[str, Any]] | pa.Table) -> None:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=schema.arrow_schema(noun))
        self.logs.setdefault(noun, []).append(table.cast(schema.arrow_schema(noun)))

    def current(self, noun: type[schema.Row]) -> list[dict[str, Any]]:
        """The last row of each key that is not gone."""
        rows = {tuple(row[name] for name in noun.KEY): row for table in self.logs.get(noun, ()) for row in table.to_pylist()}
        return [row for _key, row in sorted(rows.items()) if not row["gone"]]

    def connect(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(":memory:", config={"threads": 1})
        for noun in (schema.Offer, schema.Pair, schema.Fact, schema.Decision, schema.Product):
            wanted = schema.arrow_schema(noun)
            con.register(f"{noun.TABLE}_log", pa.concat_tables([wanted.empty_table(), *self.logs.get(noun, ())]))
            con.register(noun.TABLE, pa.Table.from_pylist(self.current(noun), schema=wanted))
        return con


OVERRIDE = pa.schema(
    [("override_id", pa.int64()), ("offer_id", pa.string()), ("action", pa.string()), ("product_id", pa.string()), ("counterpart_offer_id", pa.string()),
     ("actor", pa.string()), ("undoes", pa.int64()), ("identity_hash", pa.int64()),
     *((name, pa.string()) for name in ("field", "value", "said", "role", "until", "snapshot_id"))]
)  # fmt: skip
NAMES = [f"{feed}:{number}" for feed in "abcd" for number in (1, 2)]
CATALOG = Catalog.model_construct(policy=POLICY, feeds={})


def offer_row(name: str, version: int, run: int, *, gone: bool = False) -> dict[str, Any]:
    nothing = dict.fromkeys(schema.arrow_schema(schema.Offer).names)
    return {
        **nothing, "offer_id": name, "feed": name[0], "supplier": name[0], "source_id": name[2:], "title": f"Acme Kettle K100 v{version}",
        "delivery_id": f"{name[0]}@2026-01-01", "position": 1, "raw_hash": version, "identity_hash": version, "run": run, "gone": gone,
    }  # fmt: skip


def pair_rows(dice: random.Random, live: Iterable[str], of: set[str], run: int) -> list[dict[str, Any]]:
    """Fresh scores for every pair that has an end in `of`."""
    return [
        {"left_id": left, "right_id": right, "features": [], "score": dice.choice(HIGH + LOW), "conflict": None, "model": "m", "run": run, "gone": False}
        for left, right in combinations(sorted(live), 2) if {left, right} & of
    ]  # fmt: skip


def one_run(shop: Shop, dice: random.Random, live: dict[str, int], run: int) -> None:
    """Some offers come, change or go, people answer, now and then everything is scored anew; then the stage decides."""
    vanished = [name for name in sorted(live) if dice.random() < 0.15]
    rows = [offer_row(name, live.pop(name), run, gone=True) for name in vanished]
    changed = [name for name in NAMES if name not in vanished and dice.random() < (0.25 if name in live else 0.5)]
    live.update({name: live.get(name, 0) + 1 for name in changed})
    shop.append(schema.Offer, rows + [offer_row(name, live[name], run) for name in changed])
    retrained = dice.random() < 0.3
    shop.append(schema.Pair, pair_rows(dice, live, set(live) if retrained else set(changed), run))
    answered = answer_something(shop, dice, live, run)
    open_ids = sorted(live if retrained else {*changed, *(answered & live.keys())})
    with shop.connect() as con:
        ids = [pa.array(found, pa.string()) for found in (open_ids, sorted(changed), vanished)]
        overrides = pa.Table.from_pylist(shop.overrides, schema=OVERRIDE)
        decided = decide(con, CATALOG, open_ids=ids[0], touched_ids=ids[1], vanished_ids=ids[2], overrides=overrides, model_id="m", run=run)
    shop.append(schema.Decision, decided.decisions)
    shop.append(schema.Product, decided.products)


def answer_something(shop: Shop, dice: random.Random, live: Mapping[str, int], run: int) -> set[str]:
    """Answers as the review stores them: about a live offer, another one and the product that one is in; sometimes an undo."""
    placed = {row["offer_id"]: row["product_id"] for row in shop.current(schema.Decision) if row["product_id"] is not None}
    about = set()
    for _answer in range(dice.choice((0, 0, 1, 2))):
        name, other = (dice.choice(sorted(live)), dice.choice(sorted(placed))) if live and placed else ("", "")
        if name == other:
            continue
        about.add(name)
        action = dice.choice(("same", "same", "different", "new"))
        row = {"override_id": len(shop.overrides) + 1, "offer_id": name, "action": action, "product_id": placed[other], "counterpart_offer_id": other,
               "actor": "kim", "undoes": None, "identity_hash": live[name], "snapshot_id": f"s{run - 1:04d}-0"}  # fmt: skip
        standing_ids = [one["override_id"] for one in shop.overrides if one["offer_id"] == name and one["action"] != "undo"]
        undone = {one["undoes"] for one in shop.overrides}
        if standing_ids and standing_ids[-1] not in undone and dice.random() < 0.3:
            row |= {"action": "undo", "undoes": standing_ids[-1]}
        shop.overrides.append(row)
    return about


def check_identities(shop: Shop, live: Mapping[str, int]) -> None:
    """Redirects run in no circle and end in a live product (or one whose offers have all gone since); a live offer is in at most one product, a live one."""
    products = {row["product_id"]: (row["state"], row["merged_into"], row["offers"]) for row in shop.current(schema.Product)}
    decisions = shop.current(schema.Decision)
    placed = [(row["offer_id"], row["product_id"]) for row in decisions if row["product_id"] is not None]
    asked = [row["proposed_product_id"] for row in decisions if row["proposed_product_id"] is not None]
    assert len({name for name, _product in placed}) == len(placed)
    assert {name for name, _product in placed} <= live.keys()
    held = Counter(product for _name, product in placed)
    assert {product: offers for product, (state, _into, offers) in products.items() if state == "live"} == dict(held)
    for product, (state, merged_into, _offers) in products.items():
        assert (state == "merged") == (merged_into is not None)
        seen, end = {product}, product
        while products[end][1] is not None:
            end = products[end][1]
            assert end not in seen, f"redirects of {product} run in a circle"
            seen.add(end)
        assert state != "merged" or products[end][0] in ("live", "gone"), f"{product} leads to {end}"
    assert set(asked) <= products.keys()


@settings(max_examples=8, deadline=None, derandomize=True)
@given(SEEDS)
def test_redirects_end_in_live_products_through_any_sequence_of_runs(seed: int) -> None:
    dice = random.Random(seed)
    shop, live = Shop(), dict[str, int]()
    for run in range(1, 7):
        one_run(shop, dice, live, run)
        check_identities(shop, live)


# --- an offer that resembles two settled products ---------------------------------------------------------------------


def settled_shop(*groups: tuple[str, ...]) -> Shop:
    """A shop after one run in which each group became a product."""
    shop = Shop()
    names = [name for group in groups for name in group]
    shop.append(schema.Offer, [offer_row(name, 1, 1) for name in names])
    shop.append(schema.Pair, [pair for group in groups for pair in alike(1, combinations(group, 2))])
    decide_into(shop, names, 1)
    return shop


def alike(run: int, pairs: Iterable[tuple[str, str]], score: float = 0.97) -> list[dict[str, Any]]:
    """Pairs of one score."""
    return [
        {"left_id": min(pair), "right_id": max(pair), "features": [], "score": score, "conflict": None, "model": "m", "run": run, "gone": False}
        for pair in pairs
    ]  # fmt: skip


def decide_into(shop: Shop, open_ids: Iterable[str], run: int) -> dict[str, dict[str, Any]]:
    """Decide, append, and return the current decision on each offer."""
    ids = pa.array(sorted(open_ids), pa.string())
    with shop.connect() as con:
        overrides = pa.Table.from_pylist(shop.overrides, schema=OVERRIDE)
        decided = decide(con, CATALOG, open_ids=ids, touched_ids=ids, vanished_ids=pa.array([], pa.string()), overrides=overrides, model_id="m", run=run)
    shop.append(schema.Decision, decided.decisions)
    shop.append(schema.Product, decided.products)
    return {row["offer_id"]: row for row in shop.current(schema.Decision)}


def arrives(shop: Shop, name: str, others: Iterable[str], run: int = 2) -> dict[str, dict[str, Any]]:
    """An offer comes that is alike to the others; again with another version in a later run."""
    shop.append(schema.Offer, [offer_row(name, run, run)])
    shop.append(schema.Pair, alike(run, [(name, other) for other in others]))
    return decide_into(shop, [name], run)


def test_an_offer_alike_to_two_products_makes_them_one_and_the_old_id_leads_there() -> None:
    shop = settled_shop(("a:1", "b:1"), ("c:1",))
    (kept, lost) = (next(row["product_id"] for row in shop.current(schema.Decision) if row["offer_id"] == name) for name in ("a:1", "c:1"))
    shop.append(schema.Pair, alike(1, [("b:1", "c:1")], score=0.7))
    decisions = arrives(shop, "d:1", ["a:1", "b:1", "c:1"])
    assert {row["product_id"] for row in decisions.values()} == {kept}
    products = {row["product_id"]: row for row in shop.current(schema.Product)}
    assert (products[lost]["state"], products[lost]["merged_into"]) == ("merged", kept)
    again = arrives(shop, "d:1", ["a:1", "b:1", "c:1"], run=3)
    assert {row["product_id"] for row in again.values()} == {kept}, "the next delivery parts nothing"


def test_a_single_offer_that_only_the_new_one_resembles_stays_in_its_product_and_is_asked_about() -> None:
    shop = settled_shop(("a:1", "b:1"), ("c:1",))
    before = {row["offer_id"]: row["product_id"] for row in shop.current(schema.Decision)}
    decisions = arrives(shop, "d:1", ["a:1", "b:1", "c:1"])
    assert {name: decisions[name]["product_id"] for name in before} == before and decisions["d:1"]["product_id"] == before["a:1"]
    assert (decisions["c:1"]["action"], decisions["c:1"]["reason_code"], decisions["c:1"]["proposed_product_id"]) == ("to_review", "bridge", before["a:1"])


def test_products_that_share_a_feed_are_not_opened_again() -> None:
    shop = settled_shop(("a:1", "b:1"), ("a:2",))
    before = {row["offer_id"]: row for row in shop.current(schema.Decision)}
    decisions = arrives(shop, "d:1", ["a:1", "b:1", "a:2"])
    assert {name: decisions[name] for name in before} == before


def test_what_a_person_keeps_apart_no_offer_between_brings_together() -> None:
    shop = settled_shop(("a:1", "b:1"), ("c:1",))
    before = {row["offer_id"]: row["product_id"] for row in shop.current(schema.Decision)}
    shop.append(schema.Pair, alike(1, [("b:1", "c:1")], score=0.7))
    shop.overrides.append(
        {"override_id": 1, "offer_id": "c:1", "action": "different", "product_id": before["a:1"], "counterpart_offer_id": "a:1", "actor": "kim",
         "undoes": None, "identity_hash": 1}
    )  # fmt: skip
    decisions = arrives(shop, "d:1", ["a:1", "b:1", "c:1"])
    assert {name: decisions[name]["product_id"] for name in before} == before
