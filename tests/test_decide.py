"""Deciding: links, questions and ids, on small hand-made catalogs and under hypothesis."""

from __future__ import annotations

import random
from dataclasses import fields
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.decide.answers import Answers, Placement, standing
from endcap.decide.deciding import Ruling, rule
from endcap.decide.identity import claim_ids, new_product_id
from endcap.decide.inputs import Inputs, OpenOffer, Restored
from endcap.decide.policy import Edge, judge
from endcap.decide.stated import agree
from endcap.decide.survivorship import Statement, surviving_values
from endcap.settings import Policy

POLICY = Policy()


def offer(offer_id: str, *, title: str = "Acme Kettle K100", before: str | None = None) -> OpenOffer:
    return OpenOffer(offer_id, offer_id.split(":")[0], title, None, 1, before, None)


def edge(left: str, right: str, score: float, *, conflict: str | None = None, gtin: bool = False, ratio: float | None = None) -> Edge:
    return Edge(*sorted((left, right)), score, conflict, gtin, ratio)


def inputs(offers: list[OpenOffer], edges: list[Edge], **given: Any) -> Inputs:
    base: dict[str, Any] = {"answers": Answers(), "stated": {}, "before": {}, "settled": {}, "founders": {}, "states": {}, "taken": frozenset()}
    ordered = tuple(sorted(edges, key=lambda one: (-one.score, one.left_id, one.right_id)))
    return Inputs(offers={one.offer_id: one for one in sorted(offers, key=lambda one: one.offer_id)}, edges=ordered, **{**base, **given})


def groups(rulings: dict[str, Ruling]) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for ruling in rulings.values():
        if ruling.product_id:
            found.setdefault(ruling.product_id, set()).add(ruling.offer_id)
    return {frozenset(members) for members in found.values()}


def test_alike_offers_of_three_feeds_become_one_product() -> None:
    names = ["a:1", "b:1", "c:1"]
    rulings = rule(inputs([offer(name) for name in names], [edge("a:1", "b:1", 0.97), edge("b:1", "c:1", 0.95), edge("a:1", "c:1", 0.9)]), POLICY)
    assert groups(rulings) == {frozenset(names)}
    assert [rulings[name].action for name in names] == ["new_product", "linked", "linked"]
    assert "0.97" in rulings["a:1"].reason


def test_a_doubtful_pair_is_asked_and_the_first_by_id_founds() -> None:
    rulings = rule(inputs([offer("a:1"), offer("b:1")], [edge("a:1", "b:1", 0.6)]), POLICY)
    assert rulings["a:1"].action == "new_product"
    assert rulings["b:1"].action == "to_review"
    assert rulings["b:1"].product_id is None
    assert rulings["b:1"].proposed_product_id == rulings["a:1"].product_id
    assert "0.60" in rulings["b:1"].reason


def test_a_product_that_only_a_doubtful_offer_is_left_of_stays_until_somebody_answers() -> None:
    """A new offer, or a new model, makes a published product doubtful: it is asked about, and served as it was (promise P12)."""
    known = {"before": {"b:1": "P1"}, "founders": {"P1": "b:1"}, "states": {"P1": "live"}, "taken": frozenset({"P1"})}
    rulings = rule(inputs([offer("a:1"), offer("b:1")], [edge("a:1", "b:1", 0.6)], **known), POLICY)
    assert (rulings["b:1"].product_id, rulings["a:1"].action, rulings["a:1"].product_id) == ("P1", "to_review", None), "the newcomer waits"
    assert rulings["a:1"].proposed_product_id == "P1"
    both = {"before": {"a:1": "P2", "b:1": "P1"}, "founders": {"P1": "b:1", "P2": "a:1"}, "states": {"P1": "live", "P2": "live"}}
    rulings = rule(inputs([offer("a:1"), offer("b:1")], [edge("a:1", "b:1", 0.6)], **both, taken=frozenset({"P1", "P2"})), POLICY)
    assert (rulings["b:1"].action, rulings["b:1"].product_id, rulings["b:1"].proposed_product_id) == ("to_review", "P1", "P2")
    assert rulings["a:1"].product_id == "P2"
    back = {**known, "states": {"P1": "gone"}}
    rulings = rule(inputs([offer("a:1"), offer("b:1")], [edge("a:1", "b:1", 0.6)], **back), POLICY)
    assert rulings["b:1"].product_id == "P1", "what was not delivered for a while comes back as what it was"


def test_what_an_answer_founded_ends_with_the_answer() -> None:
    """An offer that waited, was said to be new and is asked about again leaves no product behind (promise P9)."""
    known = {"before": {"b:1": "P1"}, "founders": {"P1": "b:1"}, "states": {"P1": "live"}, "taken": frozenset({"P1"})}
    was = Restored(3, "to_review", None, 0.6, "doubtful", "likeness 0.60, below 0.85", "P2", "a:1")
    rulings = rule(inputs([offer("b:1")], [edge("a:1", "b:1", 0.6)], settled={"P2": {"a:1": "a"}}, restored={"b:1": was}, **known), POLICY)
    assert (rulings["b:1"].action, rulings["b:1"].product_id, rulings["b:1"].proposed_product_id) == ("to_review", None, "P2")


def test_a_doubtful_offer_stays_nowhere_that_goes_on_without_it_or_is_not_what_it_was() -> None:
    one = {"before": {"a:1": "P1", "b:1": "P1"}, "founders": {"P1": "a:1"}, "states": {"P1": "live"}, "taken": frozenset({"P1"})}
    two = [offer("a:1"), offer("b:1")]
    rulings = rule(inputs(two, [edge("a:1", "b:1", 0.6)], **one), POLICY)
    assert (rulings["a:1"].product_id, rulings["b:1"].product_id) == ("P1", None), "two that are in doubt of each other are not one product"
    for more in ({"placeless": frozenset({"b:1"})}, {"states": {"P1": "merged"}}, {"answers": Answers(apart={"b:1": frozenset({"P1"})})}):
        known = {"before": {"b:1": "P1"}, "founders": {"P1": "b:1"}, "states": {"P1": "live"}, "taken": frozenset({"P1"})} | more
        rulings = rule(inputs([*two, offer("c:1")], [edge("a:1", "b:1", 0.6), edge("b:1", "c:1", 0.5)], **known), POLICY)
        assert rulings["b:1"].product_id != "P1", more
    renamed = [offer("a:1"), offer("b:1", title="Bolt mixer M7", before="Acme Kettle K100")]
    rulings = rule(inputs(renamed, [], before={"b:1": "P1"}, founders={"P1": "b:1"}, states={"P1": "live"}, taken=frozenset({"P1"})), POLICY)
    assert (rulings["b:1"].reason_code, rulings["b:1"].product_id) == ("renamed", None)


def test_two_offers_of_one_feed_do_not_share_a_product_unless_their_gtin_says_so() -> None:
    offers = [offer("a:1"), offer("a:2"), offer("b:1")]
    rulings = rule(inputs(offers, [edge("a:1", "b:1", 0.99), edge("a:2", "b:1", 0.98)]), POLICY)
    assert groups(rulings) == {frozenset({"a:1", "b:1"}), frozenset({"a:2"})}


@pytest.mark.parametrize(
    ("given", "does", "code"),
    [
        (edge("a:1", "b:1", 0.99), "link", "alike"),
        (edge("a:1", "b:1", 0.99, conflict="pack 6 against 12"), "apart", "conflict"),
        (edge("a:1", "b:1", 0.99, conflict="pack 6 against 12", gtin=True), "ask", "gtin_conflict"),
        (edge("a:1", "b:1", 0.01, gtin=True), "ask", "gtin_unlike"),
        (edge("a:1", "b:1", 0.99, ratio=9.0), "ask", "price"),
        (edge("a:1", "b:1", 0.5), "ask", "doubtful"),
        (edge("a:1", "b:1", 0.1), "apart", "unlike"),
    ],
)
def test_policy_on_a_pair(given: Edge, does: str, code: str) -> None:
    verdict = judge(given, POLICY)
    assert (verdict.does, verdict.code) == (does, code)


def test_an_offer_that_says_nothing_does_not_hold_two_that_contradict_together() -> None:
    offers = [offer(name) for name in ("a:1", "b:1", "c:1")]
    stated = {"a:1": {"colour": "blue"}, "c:1": {"colour": "white"}}
    rulings = rule(inputs(offers, [edge("a:1", "b:1", 0.99), edge("b:1", "c:1", 0.98)], stated=stated), POLICY)
    assert groups(rulings) == {frozenset({"a:1", "b:1"}), frozenset({"c:1"})}


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("14 ml", "13.5 ml", True), ("500 g", "400 g", False), ("38 wash", "950 ml", True), ("150 g", "150 ml", True), ("red", "blue", False),
        ("04006381333931", "04006381333948", False), ("2", "6", False), ("36/37", "38/39", False), ("XL", "XL", True),
        ("36 EU", "36", True), ("M", "M EU", True), ("42 EU", "36", False), ("black", "black grey", False),
        ("black", "black/red", True), ("red/black", "black/red", True), ("black/red", "black/blue", False), ("red", "black/blue", False),
    ],
)  # fmt: skip
def test_rounding_and_other_units_do_not_contradict(one: str, other: str, together: bool) -> None:
    assert agree(one, other) is agree(other, one) is together


def test_no_chain_of_single_pairs_becomes_one_product() -> None:
    names = [f"{feed}:1" for feed in "abcdef"]
    chain = [edge(left, right, 0.97) for left, right in pairwise(names)]
    found = groups(rule(inputs([offer(name) for name in names], chain), POLICY))
    assert max(len(group) for group in found) <= 3


def test_answers_that_contradict_each_other_are_asked_again() -> None:
    """b is the same as a, c is the same as a, and b is not c: a machine does not choose whom to believe."""
    placed = {name: Placement("P1", "a:1", number, 1, "same", "kim") for number, name in enumerate(("b:1", "c:1"), start=1)}
    apart = {"b:1": frozenset({"c:1"}), "c:1": frozenset({"b:1"})}
    offers = [offer("a:1"), offer("b:1"), offer("c:1")]
    rulings = rule(inputs(offers, [edge("a:1", "b:1", 0.99), edge("a:1", "c:1", 0.99)], answers=Answers(placed, {}, apart)), POLICY)
    assert rulings["c:1"].action == "to_review" and rulings["c:1"].reason_code == "answers_contradict"
    assert frozenset({"a:1", "b:1"}) in groups(rulings)


def test_the_order_of_edges_does_not_matter() -> None:
    names = [f"{feed}:1" for feed in "abcd"]
    edges = [edge(left, right, score) for left, right, score in zip(names, names[1:] + names[:1], (0.9, 0.99, 0.95, 0.86), strict=True)]
    given = inputs([offer(name) for name in names], edges)
    turned = Inputs(**{**{field.name: getattr(given, field.name) for field in fields(given)}, "edges": tuple(reversed(given.edges))})
    assert rule(given, POLICY) == rule(turned, POLICY)


def test_the_offer_with_the_gtin_has_the_place_of_its_feed() -> None:
    """A sibling that is a little more alike does not come in before it."""
    edges = [edge("a:1", "b:1", 0.99), Edge("a:1", "b:2", 0.94, None, True, None)]
    rulings = rule(inputs([offer(name) for name in ("a:1", "b:1", "b:2")], edges), POLICY)
    assert groups(rulings) == {frozenset({"a:1", "b:2"}), frozenset({"b:1"})}


def test_two_settled_products_are_never_made_one_by_the_machine() -> None:
    settled = {"P1": {"a:1": "a"}, "P2": {"b:1": "b"}}
    rulings = rule(inputs([offer("c:1")], [edge("a:1", "c:1", 0.99), edge("b:1", "c:1", 0.98)], settled=settled, taken=frozenset(settled)), POLICY)
    assert rulings["c:1"].product_id == "P1"


def test_a_single_edge_does_not_hold_two_groups_together() -> None:
    offers = [offer(name) for name in ("a:1", "b:1", "c:1", "d:1")]
    edges = [edge("a:1", "b:1", 0.99), edge("c:1", "d:1", 0.98), edge("b:1", "c:1", 0.97)]
    assert groups(rule(inputs(offers, edges), POLICY)) == {frozenset({"a:1", "b:1"}), frozenset({"c:1", "d:1"})}
    assert len(groups(rule(inputs(offers, [*edges, edge("a:1", "d:1", 0.96)]), POLICY))) == 1


def test_a_person_s_word_holds_against_the_score_until_the_source_changes() -> None:
    settled = {"P1": {"a:1": "a"}}
    same = Answers(placed={"b:1": Placement("P1", "a:1", 5, 1, "same", "kim")})
    rulings = rule(inputs([offer("b:1")], [edge("a:1", "b:1", 0.01)], answers=same, settled=settled, taken=frozenset({"P1"})), POLICY)
    assert (rulings["b:1"].product_id, rulings["b:1"].decided_by, rulings["b:1"].override_id) == ("P1", "person", 5)
    changed = Answers(placed={"b:1": Placement("P1", "a:1", 5, 999, "same", "kim")})
    for before, stays in (({"b:1": "P1"}, "P1"), ({"b:1": "P2"}, "P2"), ({}, None)):
        both = {**settled, "P2": {"d:1": "d"}}
        asked = rule(inputs([offer("b:1")], [], answers=changed, settled=both, before=before, taken=frozenset(both)), POLICY)["b:1"]
        told = (asked.action, asked.product_id, asked.proposed_product_id, asked.reason_code)
        assert told == ("to_review", stays, "P1", "source_changed"), "what the supplier made of it is not moved by what was said before"
        still = inputs([offer("b:1")], [], answers=changed, settled=both, before=before, taken=frozenset(both), named={"b:1": offer("b:1").title + ", new"})
        assert rule(still, POLICY)["b:1"].product_id == "P1", "what still is what it was goes where it was said to belong, and is asked about"


def test_a_person_s_no_is_asked_again_where_the_source_changed_since() -> None:
    """In the product it was in meanwhile it stays (promise P5); the former no goes on to keep it out of the one that was denied."""
    settled = {"P1": {"a:1": "a"}, "P2": {"c:1": "c"}}

    def ruling(identity: int, before: dict[str, str]) -> Ruling:
        said = Answers(apart={"b:1": frozenset({"P1"})}, denied={"b:1": Placement("P1", "a:1", 5, identity, "different", "kim")})
        given = inputs([offer("b:1")], [edge("a:1", "b:1", 0.99)], answers=said, settled=settled, before=before, taken=frozenset(settled))
        return rule(given, POLICY)["b:1"]

    assert ruling(1, {}).action == "new_product", "the same offer still: nobody is asked twice"
    for before, stays in (({}, None), ({"b:1": "P2"}, "P2"), ({"b:1": "P1"}, None)):
        asked = ruling(999, before)
        told = (asked.action, asked.reason_code, asked.product_id, asked.proposed_product_id, asked.override_id)
        assert told == ("to_review", "source_changed", stays, "P1", 5)


@pytest.mark.parametrize(("score", "likeness"), [(0.84, "0.84"), (0.99, "0.99")])
def test_where_a_person_s_no_decides_the_reason_says_whose_it_is(score: float, likeness: str) -> None:
    offers, edges = [offer("a:1"), offer("b:1")], [edge("a:1", "b:1", score)]
    pair = {"a:1": frozenset({"b:1"}), "b:1": frozenset({"a:1"})}
    said = Answers(apart={"b:1": frozenset({"P1"})}, apart_offers=pair, denied={"b:1": Placement("P1", "a:1", 5, 1, "different", "kim")})
    known = {"settled": {"P1": {"a:1": "a"}}, "founders": {"P1": "a:1"}, "states": {"P1": "live"}, "taken": frozenset({"P1"})}
    ruling = rule(inputs(offers[1:], edges, answers=said, **known), POLICY)["b:1"]
    assert ruling.action == "new_product" and ruling.reason.startswith("kim said that it is another product than its nearest: ") and likeness in ruling.reason


def test_what_a_person_put_together_stays_together_when_every_offer_is_decided_anew() -> None:
    """Under a new model all offers are open: the product follows the two offers, not the other way round."""
    same = Answers(placed={"b:1": Placement("P1", "a:1", 5, 1, "same", "kim")})
    offers = [offer(name) for name in ("a:1", "b:1", "c:1")]
    before = {"a:1": "P1", "b:1": "P1", "c:1": "P1"}
    rulings = rule(
        inputs(offers, [edge("a:1", "c:1", 0.97), edge("a:1", "b:1", 0.01)], answers=same, before=before, founders={"P1": "a:1"}, taken=frozenset({"P1"})),
        POLICY,
    )
    assert {name: ruling.product_id for name, ruling in rulings.items()} == before
    assert rulings["b:1"].decided_by == "person"


def test_what_a_person_held_apart_stays_apart_though_no_product_has_an_id_yet() -> None:
    apart = Answers(apart_offers={"a:1": frozenset({"b:1"}), "b:1": frozenset({"a:1"})})
    both_open = rule(inputs([offer("a:1"), offer("b:1")], [edge("a:1", "b:1", 0.95)], answers=apart), POLICY)
    assert groups(both_open) == {frozenset({"a:1"}), frozenset({"b:1"})}
    one_open = rule(inputs([offer("b:1")], [edge("a:1", "b:1", 0.95)], answers=apart, settled={"P1": {"a:1": "a"}}, taken=frozenset({"P1"})), POLICY)
    assert one_open["b:1"].product_id not in (None, "P1") and one_open["b:1"].action == "new_product"


def test_an_id_that_names_something_else_is_asked_about() -> None:
    now = offer("a:1", title="Garden hose 20 m", before="Acme Kettle K100 silver")
    rulings = rule(inputs([now], [], before={"a:1": "P1"}, taken=frozenset({"P1"})), POLICY)
    assert (rulings["a:1"].action, rulings["a:1"].proposed_product_id) == ("to_review", "P1")
    assert "Garden hose" in rulings["a:1"].reason


def test_a_product_keeps_its_id_with_most_of_its_offers() -> None:
    clusters = [["a:1"], ["b:1", "c:1"]]
    assert claim_ids(clusters, {"a:1": "P1", "b:1": "P1", "c:1": "P1"}, {"P1": "a:1"}) == [None, "P1"]
    assert claim_ids([["a:1"], ["b:1"]], {"a:1": "P1", "b:1": "P1"}, {"P1": "b:1"}) == [None, "P1"]
    first = new_product_id("a:1", ())
    assert first == new_product_id("a:1", ()) != new_product_id("a:1", (first,))


def overrides(*rows: tuple[int, str, str, str | None, int | None]) -> pa.Table:
    names = ("override_id", "offer_id", "action", "product_id", "undoes")
    others = {"identity_hash": 1, "actor": "kim"}
    return pa.Table.from_pylist([{**dict(zip(names, row, strict=True)), "counterpart_offer_id": f"to:{row[3]}", **others} for row in rows])


def test_standing_answers_follow_redirects_and_undo() -> None:
    table = overrides((1, "b:1", "different", "P1", None), (2, "b:1", "same", "P2", None), (3, "c:1", "new", "P1", None), (4, "c:1", "undo", "P1", 3))
    answers = standing(table, lambda product_id: {"P2": "P9"}.get(product_id, product_id))
    assert answers.apart == {"b:1": frozenset({"P1"})}
    assert (answers.placed["b:1"].product_id, answers.placed["b:1"].counterpart) == ("P9", "to:P2")
    assert answers.apart_offers == {"b:1": frozenset({"to:P1"}), "to:P1": frozenset({"b:1"})}
    assert "c:1" not in answers.placed


def test_one_supplier_cannot_change_what_others_support() -> None:
    def says(value: str, offer_id: str, supplier: str) -> Statement:
        return Statement("brand", value, None, 0.9, offer_id, supplier, 1.0, "brand@1", None)

    honest = [says("Acme", "a:1", "a"), says("Acme", "b:1", "b")]
    liar = [says("Zonk", f"x:{number}", "x") for number in range(50)]
    standing_values = {"brand": {"value": "Acme", "source_offer_id": "a:1", "since_run": 1}}
    (value,) = surviving_values(honest + liar, standing_values, run=2)
    assert (value.value, value.since_run, value.support) == ("Acme", 1, 2)
    sure = Statement("brand", "Zonk", None, 0.95, "x:1", "x", 1.0, "brand@1", None)
    unsure = [Statement("brand", "Acme", None, 0.4, f"{name}:1", name, 1.0, "brand@1", None) for name in "ab"]
    assert surviving_values([sure, *unsure], {}, run=2)[0].value == "Acme", "a sure tone does not outvote two suppliers"
    assert surviving_values([sure, unsure[0]], standing_values, run=2)[0].value == "Acme", "one newcomer does not replace what stands"
    (tied,) = surviving_values([says("Acme", "a:1", "a"), says("Abba", "x:1", "x")], standing_values, run=2)
    assert tied.value == "Acme"


IDS = [f"{feed}:{number}" for feed in "abcd" for number in range(3)]


@st.composite
def worlds(draw: st.DrawFn) -> Inputs:
    names = draw(st.lists(st.sampled_from(IDS), min_size=2, max_size=len(IDS), unique=True))
    pairs = [(left, right) for left in sorted(names) for right in sorted(names) if left < right and left[0] != right[0]]
    edges = [edge(left, right, draw(st.sampled_from([0.05, 0.4, 0.7, 0.86, 0.9, 0.99]))) for left, right in pairs if draw(st.booleans())]
    apart = {name: frozenset({"P1"}) for name in names if draw(st.integers(0, 4)) == 0}
    placed = {name: Placement("P1", "z:1", 1, 1, "same", "kim") for name in names if name not in apart and draw(st.integers(0, 6)) == 0}
    enemies = {pair for pair in pairs if draw(st.integers(0, 5)) == 0 and pair[0] not in placed and pair[1] not in placed}
    apart_offers = {name: frozenset({b if a == name else a for a, b in enemies if name in (a, b)}) for name in names}
    settled = {"P1": {"z:1": "z"}}
    edges += [edge(name, "z:1", draw(st.sampled_from([0.1, 0.9, 0.99]))) for name in sorted(names)]
    return inputs(
        [offer(name) for name in names], edges, answers=Answers(placed, apart, apart_offers), settled=settled, founders={"P1": "z:1"}, taken=frozenset({"P1"})
    )


@settings(max_examples=1000, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_people_s_word_always_holds_and_order_never_matters(world: Inputs, shuffle: random.Random) -> None:
    rulings = rule(world, POLICY)
    assert set(rulings) == set(world.offers)
    for offer_id, forbidden in world.answers.apart.items():
        assert rulings[offer_id].product_id not in forbidden
        assert rulings[offer_id].proposed_product_id not in forbidden
    for offer_id, placement in world.answers.placed.items():
        assert rulings[offer_id].product_id == placement.product_id
    for offer_id, others in world.answers.apart_offers.items():
        for other in others:
            assert rulings[offer_id].product_id is None or rulings[offer_id].product_id != rulings[other].product_id
    names = list(world.offers)
    shuffle.shuffle(names)
    shuffled = Inputs(
        {name: world.offers[name] for name in sorted(names)},
        world.edges,
        world.stated,
        world.answers,
        world.before,
        world.settled,
        world.founders,
        world.states,
        world.taken,
    )
    assert rule(shuffled, POLICY) == rulings
    for members in groups(rulings):
        machine = [name for name in members if name not in world.answers.placed]
        assert len({name[0] for name in machine}) == len(machine), "one offer of a feed per product"


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_deciding_again_keeps_every_id(world: Inputs) -> None:
    rulings = rule(world, POLICY)
    before = {name: ruling.product_id for name, ruling in rulings.items() if ruling.product_id}
    founded = {ruling.product_id: name for name, ruling in rulings.items() if ruling.action == "new_product" and ruling.product_id}
    founders = {**world.founders, **founded}
    again = Inputs(
        world.offers, world.edges, world.stated, world.answers, before, world.settled, founders, world.states, frozenset(before.values()) | world.taken
    )  # fmt: skip
    assert {name: ruling.product_id for name, ruling in rule(again, POLICY).items() if ruling.product_id} == before
