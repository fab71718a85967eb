"""What people said of products' fields: it is served instead of what the suppliers say, and asked again when they say something new.

A person beats the machine until the source changes (promise P5): then the person's value stays, and a decision waits for review beside it.
A lock holds silently. Who outweighs whom is told by `answers.WEIGHT`; docs/precedence.md prints it as a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa

from endcap import schema
from endcap.decide.answers import FieldAnswer
from endcap.schema import Value

# The kind of a decision on a product's value, before the field's name.
KIND = "value:"
BY_PERSON = "person"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A field that a person set and of which the suppliers now say something else than they said then."""

    product_id: str
    offer_id: str  # one of the product's offers, by which the question is filed
    field: str
    says: str | None
    answer: FieldAnswer


def spoken_of(con: duckdb.DuckDBPyConnection, overrides: pa.Table, answered_after: int) -> set[str]:
    """Live products of which a field was answered or taken back since override `answered_after`, and those whose answer has a last day."""
    told = {row["product_id"] for row in overrides.to_pylist() if row["field"] and (row["override_id"] > answered_after or row["until"])}
    if not told:
        return set()
    states = {product_id: (state, into) for product_id, state, into in con.execute("SELECT product_id, state, merged_into FROM products").fetchall()}
    found = set()
    for product_id in told:
        while states.get(product_id, ("", None))[1] is not None:
            product_id = states[product_id][1]
        found.add(product_id)
    return {product_id for product_id in found if states.get(product_id, ("", None))[0] == "live"}


def carried_along(fields: Mapping[tuple[str, str], FieldAnswer], merged: Mapping[str, str]) -> dict[tuple[str, str], FieldAnswer]:
    """What was said of products that are merged in this run goes to the ones that took them over; of two words the weightier, then the later."""
    found: dict[tuple[str, str], FieldAnswer] = {}
    for (product_id, field), answer in fields.items():
        key = (merged.get(product_id, product_id), field)
        if key not in found or (answer.weight, answer.override_id) > (found[key].weight, found[key].override_id):
            found[key] = answer
    return found


def with_answers(
    product_id: str, values: Mapping[str, Value], standing: Mapping[str, Mapping[str, Any]], fields: Mapping[tuple[str, str], FieldAnswer],
    filed_by: str, run: int,
) -> tuple[dict[str, Value], list[Doubt]]:  # fmt: skip
    """The product's values with people's words in the place of the suppliers', and what is to be asked again.

    `values` are what the suppliers' statements make; `standing` the values of the product so far; `filed_by` one of its offers.
    """
    found, doubts = dict(values), []
    for (product, field), answer in fields.items():
        if product != product_id:
            continue
        machine = values.get(field)
        says = machine.value if machine else None
        stood = standing.get(field)
        since = stood["since_run"] if stood and stood["override_id"] == answer.override_id else run
        said = machine or Value(field, answer.value, None, 1.0, filed_by, BY_PERSON, None, None, run, 0)
        unit = said.unit if answer.value == says else None
        support = said.support if answer.value == says else 0
        found[field] = replace(
            said, value=answer.value, unit=unit, confidence=1.0, extractor=BY_PERSON, model=None, override_id=answer.override_id, since_run=since,
            support=support,
        )  # fmt: skip
        if says not in (answer.said, answer.value) and not answer.locked:
            doubts.append(Doubt(product_id, filed_by, field, says, answer))
    return dict(sorted(found.items())), doubts


def told_by_suppliers(con: duckdb.DuckDBPyConnection, product_id: str, standing: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The values that stood by the suppliers' word: where a person's stands now, the one before it, so that no tie is won by a person's."""
    found = {name: value for name, value in standing.items() if value["override_id"] is None}
    hidden = sorted(standing.keys() - found.keys())
    if not hidden:
        return found
    for (values,) in con.execute("SELECT values FROM products_log WHERE product_id = ? ORDER BY run DESC", [product_id]).fetchall():
        for value in values:
            if value["field"] in hidden and value["override_id"] is None:
                found.setdefault(value["field"], value)
    return found


def value_rows(con: duckdb.DuckDBPyConnection, doubts: Iterable[Doubt], touched: set[str], vanished: set[str], policy: str, run: int) -> pa.Table:
    """Decision rows for the doubts, and the end of questions on touched products that nobody needs to answer any more."""
    wanted = schema.arrow_schema(schema.Decision)
    rows = [_asked(con, doubt, policy, run) for doubt in doubts]
    asked = {(row["offer_id"], row["kind"]) for row in rows}
    open_now = con.sql(f"SELECT * FROM decisions WHERE starts_with(kind, '{KIND}') ORDER BY offer_id, kind").to_arrow_table()
    ended = (row for row in open_now.to_pylist() if row["product_id"] in touched and row["offer_id"] not in vanished)
    rows += [{**row, "run": run, "gone": True} for row in ended if (row["offer_id"], row["kind"]) not in asked]
    return pa.Table.from_pylist(rows, schema=wanted)


def _asked(con: duckdb.DuckDBPyConnection, doubt: Doubt, policy: str, run: int) -> dict[str, Any]:
    answer = doubt.answer
    before, now = (f"said {value!r}" if value is not None else "said nothing" for value in (answer.said, doubt.says))
    words = f"{answer.actor} set the {doubt.field} to {answer.value!r} when the suppliers {before}; now they {now.replace('said', 'say', 1)}"
    identity = con.execute("SELECT identity_hash FROM offers WHERE offer_id = ?", [doubt.offer_id]).fetchall()
    return {
        "offer_id": doubt.offer_id, "kind": f"{KIND}{doubt.field}", "action": "to_review", "product_id": doubt.product_id, "proposed_product_id": None,
        "counterpart_offer_id": None, "value": doubt.says, "confidence": 0.5, "reason_code": "source_changed", "reason": words, "decided_by": BY_PERSON,
        "override_id": answer.override_id, "model": None, "policy": policy, "identity_hash": identity[0][0] if identity else 0, "run": run, "gone": False,
    }  # fmt: skip
