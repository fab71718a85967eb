"""Who has the last word on a value: every cell of the table in docs/precedence.md, played through the deciding stage (THREATS D4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from test_clusters import CATALOG, OVERRIDE, Shop, offer_row

from endcap import schema
from endcap.decide import decide

DOC = Path(__file__).resolve().parents[1] / "docs" / "precedence.md"
LAST_DAY, TODAY = "2026-01-05", "2026-01-10"
FIRST, SECOND, PERSONS, ELSEWHERE = "K100", "K200", "K-100", "Z9"
LINES = [[cell.strip() for cell in line.strip("|").split("|")] for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
EVENTS = LINES[0][1:]
CELLS = [(line[0], event, cell) for line in LINES[2:] for event, cell in zip(EVENTS, line[1:], strict=True)]
PEOPLE = ("reviewer", "lead", "lock", "expired override")


@dataclass
class Small:
    """A product of two suppliers (a:1, b:1) that say FIRST of a field, and another one (c:1) that says something else."""

    source: str
    shop: Shop = field(default_factory=Shop)
    run: int = 0
    model: str = "m1"

    @property
    def field(self) -> str:
        """Suppliers state a part number; a brand is read or inferred."""
        return "mpn" if self.source == "feed" else "brand"

    def deliver(self, values: dict[str, str], vanished: Sequence[str] = (), *, reopen: bool = False) -> None:
        """One run in which these offers say so and these vanish; `reopen` decides all offers anew."""
        self.run += 1
        rows, facts = [], []
        for name, value in values.items():
            rows.append(offer_row(name, 1, self.run) | {"title": f"Kettle {name}", "mpn": value if self.field == "mpn" else None})
            facts.append(self._fact(name, value, gone=False))
        rows += [offer_row(name, 1, self.run, gone=True) | {"title": f"Kettle {name}"} for name in vanished]
        self.shop.append(schema.Offer, rows)
        if self.field == "brand":
            self.shop.append(schema.Fact, facts + [self._fact(name, "", gone=True) for name in vanished])
        if self.run == 1:
            pair = {"left_id": "a:1", "right_id": "b:1", "features": [], "score": 0.99, "conflict": None, "model": "m1", "run": 1, "gone": False}
            self.shop.append(schema.Pair, [pair])
        live = [row["offer_id"] for row in self.shop.current(schema.Offer)]
        placed = {row["offer_id"] for row in self.shop.current(schema.Decision)}
        self.decide([name for name in live if reopen or name not in placed], list(values), list(vanished))

    def decide(self, opened: Sequence[str], touched: Sequence[str] = (), vanished: Sequence[str] = (), answered_after: int = 0) -> None:
        with self.shop.connect() as con:
            ids = [pa.array(sorted(names), pa.string()) for names in (opened, touched, vanished)]
            decided = decide(
                con, CATALOG, open_ids=ids[0], touched_ids=ids[1], vanished_ids=ids[2], overrides=pa.Table.from_pylist(self.shop.overrides, schema=OVERRIDE),
                model_id=self.model, run=self.run, today=TODAY, answered_after=answered_after,
            )  # fmt: skip
        self.shop.append(schema.Decision, decided.decisions)
        self.shop.append(schema.Product, decided.products)

    def answer(self, opened: Sequence[str], *rows: dict[str, Any]) -> None:
        """People answer, and a run takes it in."""
        before = len(self.shop.overrides)
        nothing = dict.fromkeys(OVERRIDE.names)
        for row in rows:
            given = {"override_id": len(self.shop.overrides) + 1, "actor": "kim", "identity_hash": 1, "snapshot_id": f"s{self.run:04d}-0"}
            self.shop.overrides.append(nothing | given | row)
        self.run += 1
        self.decide(opened, answered_after=before)

    def set(self, value: str, role: str, *, action: str = "set", until: str | None = None) -> None:
        row = {"offer_id": "a:1", "action": action, "product_id": self.product_of("a:1"), "field": self.field, "value": value, "said": FIRST, "role": role}
        self.answer([], row | {"until": until})

    def undo(self, override_id: int) -> None:
        taken = self.shop.overrides[override_id - 1]
        kept = {name: taken[name] for name in ("offer_id", "product_id", "counterpart_offer_id", "field", "value")}
        self.answer([] if taken["field"] else [taken["offer_id"]], kept | {"action": "undo", "undoes": override_id})

    def product_of(self, offer_id: str) -> str:
        found = {row["offer_id"]: row["product_id"] for row in self.shop.current(schema.Decision) if row["kind"] == "product"}
        return str(found[offer_id])

    def product(self, product_id: str) -> dict[str, Any]:
        return next(row for row in self.shop.current(schema.Product) if row["product_id"] == product_id)

    def seen(self, product_id: str) -> str:
        """What a reader of the product meets, in the words of the table."""
        product = self.product(product_id)
        value = next(value["value"] for value in product["values"] if value["field"] == self.field)
        asked = [row for row in self.shop.current(schema.Decision) if row["kind"] == f"value:{self.field}" and row["product_id"] == product_id]
        if product["state"] == "gone":
            assert not asked
            return "the last, on a gone product"
        words = {FIRST: "the suppliers'", SECOND: "the suppliers' new", PERSONS: "the person's"}[value]
        return f"{words}, and asks" if asked else words

    def _fact(self, name: str, value: str, *, gone: bool) -> dict[str, Any]:
        model, extractor = ("m1", "brand_model@1") if self.source == "auto" else (None, "brand@1")
        return {
            "offer_id": name, "attribute": "brand", "value": value, "unit": None, "confidence": 0.9, "evidence_field": None, "evidence_start": None,
            "evidence_end": None, "extractor": extractor, "model": model, "run": self.run, "gone": gone,
        }  # fmt: skip


def begun(source: str) -> Small:
    """The small world after its first run, with the person's word where the source is one."""
    world = Small(source)
    world.deliver({"a:1": FIRST, "b:1": FIRST, "c:1": ELSEWHERE})
    assert world.product_of("a:1") == world.product_of("b:1") != world.product_of("c:1")
    if source in PEOPLE:
        role = "lead" if source in ("lead", "lock") else "reviewer"
        world.set(PERSONS, role, action="lock" if source == "lock" else "set", until=LAST_DAY if source == "expired override" else None)
    return world


def happen(world: Small, event: str) -> str:
    """Let it happen; the product to look at then."""
    product_id = world.product_of("a:1")
    same = {"a:1": FIRST, "b:1": FIRST}
    if event == "same value again":
        world.deliver(same)
    elif event == "source value changed":
        world.deliver({"a:1": SECOND, "b:1": SECOND})
    elif event == "promotion":
        world.model = "m2"
        world.deliver({}, reopen=True)
    elif event == "merge":
        into = world.product_of("c:1")
        world.answer(["a:1", "b:1"], *({"offer_id": name, "action": "same", "product_id": into, "counterpart_offer_id": "c:1"} for name in ("a:1", "b:1")))
        assert world.product(product_id)["merged_into"] == into
        return into
    elif event == "split":
        world.answer(["b:1"], {"offer_id": "b:1", "action": "new", "product_id": product_id, "counterpart_offer_id": "a:1"})
        assert world.product_of("b:1") != product_id
    elif event in ("delete", "return"):
        world.deliver({}, vanished=["a:1", "b:1"])
        if event == "return":
            world.deliver(same)
    elif event == "undo":
        if world.source not in PEOPLE:
            world.set(PERSONS, "reviewer")
        world.undo(len(world.shop.overrides))
    return product_id


def test_the_table_is_whole() -> None:
    assert len(CELLS) == 56 and {source for source, _event, _cell in CELLS} == {"feed", "rule", "auto", *PEOPLE}


@pytest.mark.parametrize(("source", "event", "cell"), CELLS, ids=lambda value: value.replace(" ", "-"))
def test_a_cell_of_the_table(source: str, event: str, cell: str) -> None:
    world = begun(source)
    assert world.seen(happen(world, event)) == cell


def test_a_lead_s_word_outweighs_a_reviewer_s_later_one_and_the_last_of_equals_counts() -> None:
    world = begun("lead")
    world.set("K-1", "reviewer")
    assert world.seen(world.product_of("a:1")) == "the person's"
    other = begun("reviewer")
    other.set(SECOND, "reviewer")
    assert other.seen(other.product_of("a:1")) == "the suppliers' new", "the later of two reviewers' words"


def test_a_question_about_a_value_ends_when_it_is_answered_or_the_suppliers_return_to_what_they_said() -> None:
    world = begun("reviewer")
    product_id = world.product_of("a:1")
    world.deliver({"a:1": SECOND, "b:1": SECOND})
    asked = next(row for row in world.shop.current(schema.Decision) if row["kind"] == "value:brand")
    assert asked["reason"] == f"kim set the brand to '{PERSONS}' when the suppliers said '{FIRST}'; now they say '{SECOND}'"
    assert (asked["value"], asked["action"], asked["decided_by"]) == (SECOND, "to_review", "person")
    world.deliver({"a:1": FIRST, "b:1": FIRST})
    assert world.seen(product_id) == "the person's"
    world.deliver({"a:1": SECOND, "b:1": SECOND})
    world.answer([], {"offer_id": "a:1", "action": "set", "product_id": product_id, "field": "brand", "value": PERSONS, "said": SECOND, "role": "reviewer"})
    assert world.seen(product_id) == "the person's", "kept knowingly: asked no more"


def test_no_tie_between_suppliers_is_won_by_what_a_person_once_said() -> None:
    world = Small("rule")
    world.deliver({"a:1": FIRST, "b:1": SECOND})
    product_id = world.product_of("a:1")
    stood = next(value["value"] for value in world.product(product_id)["values"] if value["field"] == "brand")
    other = SECOND if stood == FIRST else FIRST
    world.set(other, "reviewer")
    world.undo(1)
    assert next(value["value"] for value in world.product(product_id)["values"] if value["field"] == "brand") == stood


def test_what_people_put_together_moves_together() -> None:
    """One says that d is c, another that c is a: neither word breaks the other, though c alone is asked about (promises P4 and P5)."""
    small = Small("feed")
    small.deliver({"a:1": FIRST, "b:1": FIRST, "c:1": ELSEWHERE, "d:1": ELSEWHERE, "e:1": ELSEWHERE})
    first, second, third = (small.product_of(name) for name in ("a:1", "c:1", "e:1"))
    assert len({first, second, third, small.product_of("d:1")}) == 4
    small.answer(["e:1"], {"offer_id": "e:1", "action": "same", "product_id": small.product_of("d:1"), "counterpart_offer_id": "d:1"})
    small.answer(["d:1"], {"offer_id": "d:1", "action": "same", "product_id": second, "counterpart_offer_id": "c:1", "actor": "ann"})
    assert {small.product_of(name) for name in ("c:1", "d:1", "e:1")} == {second}
    small.answer(["c:1"], {"offer_id": "c:1", "action": "same", "product_id": first, "counterpart_offer_id": "a:1", "actor": "bea"})
    assert {small.product_of(name) for name in ("a:1", "b:1", "c:1", "d:1", "e:1")} == {first}
    assert (small.product(second)["state"], small.product(second)["merged_into"]) == ("merged", first)
    small.undo(3)
    assert {small.product_of(name) for name in ("c:1", "d:1", "e:1")} != {first} and small.product_of("c:1") == small.product_of("e:1")
