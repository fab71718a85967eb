"""Which value survives when offers disagree: the best supported one, and the one that stands wins a tie.

The trust in the suppliers that say a value decides, each supplier counted once, so that neither many offers nor a sure tone of one
supplier outvotes the others; then the value that stands; then trust x confidence (promise P7).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from endcap.schema import Value

# Every supplier words these its own way: another wording is no contradiction and takes no confidence away.
WORDED_BY_EACH = ("title",)


_VALUE_FIELDS = tuple(field.name for field in fields(Value))


@dataclass(frozen=True, slots=True)
class Statement:
    """One offer saying that a field has a value."""

    field: str
    value: str
    unit: str | None
    confidence: float
    offer_id: str
    supplier: str
    trust: float
    extractor: str
    model: str | None


def surviving_values(statements: Iterable[Statement], standing: Mapping[str, Mapping[str, Any]], run: int) -> list[Value]:
    """One value a field, sorted by field. `standing` holds the product's values so far, by field."""
    by_field: dict[str, dict[str, list[Statement]]] = {}
    for statement in statements:
        by_field.setdefault(statement.field, {}).setdefault(statement.value, []).append(statement)
    return [_survivor(by_field[field], standing.get(field), run) for field in sorted(by_field)]


def trust_of(statements: Iterable[Statement]) -> float:
    """The trust in the suppliers that say so, each counted once."""
    return sum(sorted({statement.supplier: statement.trust for statement in statements}.values()))


def support(statements: Iterable[Statement]) -> float:
    """Trust x confidence, summed over suppliers, each with its strongest statement."""
    strongest: dict[str, float] = {}
    for statement in statements:
        weight = statement.trust * statement.confidence
        strongest[statement.supplier] = max(strongest.get(statement.supplier, 0.0), weight)
    return sum(sorted(strongest.values()))


def _survivor(by_value: Mapping[str, list[Statement]], standing: Mapping[str, Any] | None, run: int) -> Value:
    stands = standing["value"] if standing else None
    total = sum(support(statements) for statements in by_value.values())
    # Rounded, so that the last bit of a sum never decides.
    value = min(by_value, key=lambda value: (-round(trust_of(by_value[value]), 9), value != stands, -round(support(by_value[value]), 9), value))
    statements = sorted(by_value[value], key=lambda statement: (-statement.trust * statement.confidence, statement.offer_id))
    source = statements[0]
    if standing is not None and value == stands:
        source = next((statement for statement in statements if statement.offer_id == standing["source_offer_id"]), source)
    return Value(
        field=source.field, value=value, unit=source.unit,
        confidence=round(source.confidence * (1 if source.field in WORDED_BY_EACH else support(by_value[value]) / total), 4),
        source_offer_id=source.offer_id, extractor=source.extractor, model=source.model, override_id=None,
        since_run=standing["since_run"] if standing is not None and value == stands else run,
        support=len(statements),
    )  # fmt: skip


def as_dict(value: Value) -> dict[str, Any]:
    """A value as the lake keeps it inside a product row."""
    return {name: getattr(value, name) for name in _VALUE_FIELDS}
