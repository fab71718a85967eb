"""What people said of a product, the history of one of its fields, and values to choose from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import or_, select

from endcap.decide.fields import KIND
from endcap.ops.home import Home
from endcap.ops.tables import OVERRIDES
from endcap.review.override import not_undone
from endcap.review.product import fields, house_categories, version_of
from endcap.serve import answers_product as answers
from endcap.serve.asking import NotFound
from endcap.serve.reading import Reading

MOST_SAID, MOST_SUGGESTED = 200, 20
LIVE_ONLY = ("title", "gtin", "mpn")


def said_of(reading: Reading, home: Home, product_id: str) -> answers.SaidOfProduct:
    """Standing answers about a product and its offers, the newest first, and what is asked of its values. Raises BadInput where it is not live."""
    version = version_of(home, reading, product_id)
    offers = [row["offer_id"] for row in reading.rows("SELECT offer_id FROM decisions WHERE kind = 'product' AND product_id = ? LIMIT 200", [product_id])]
    taken_in = home.manifest(reading.snapshot_id).override_sequence
    about = or_(OVERRIDES.c.product_id == product_id, OVERRIDES.c.offer_id.in_(offers))
    query = (
        select(OVERRIDES)
        .where(about, OVERRIDES.c.action.not_in(("undo", "skip", "escalate")), not_undone())
        .order_by(OVERRIDES.c.override_id.desc())
        .limit(MOST_SAID)
    )
    with home.engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    shown = [name for name in answers.Said.model_fields if name not in ("waits", "overruled")]
    served = _served(reading, product_id)
    asked = reading.rows("SELECT kind, value, reason, override_id FROM decisions WHERE product_id = ? AND starts_with(kind, ?) ORDER BY 1", [product_id, KIND])
    asked = [row for row in asked if not _answered(home, row, rows, taken_in)]
    return answers.SaidOfProduct(
        snapshot=reading.snapshot_id, version=version, fields=list(fields()),
        said=[
            answers.Said(**{name: row[name] for name in shown}, waits=waits, overruled=not waits and _overruled(row, served))
            for row in rows for waits in [row["override_id"] > taken_in]
        ],
        asked=[answers.Asked(field=row["kind"].removeprefix(KIND), says=row["value"], words=row["reason"], override_id=row["override_id"]) for row in asked],
    )  # fmt: skip


def _answered(home: Home, asked: Mapping[str, Any], said: Sequence[Mapping[str, Any]], taken_in: int) -> bool:
    """Whether somebody settled the question since: set the field, or took the answer back that it is about."""
    if any(row["field"] == asked["kind"].removeprefix(KIND) and row["override_id"] > taken_in for row in said):
        return True
    with home.engine.connect() as connection:
        return connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.undoes == asked["override_id"])).first() is not None


def _served(reading: Reading, product_id: str) -> dict[str, int | None]:
    """Whose answer each field's value is in this version, None where a supplier's word is served."""
    row = next(iter(reading.find("products", "product_id", [product_id], ("values",))), None)
    return {value["field"]: value["override_id"] for value in (row["values"] or [])} if row else {}


def _overruled(row: Mapping[str, Any], served: Mapping[str, int | None]) -> bool:
    """Whether a field's answer is not what is served, since a later or weightier one is."""
    other = served.get(row["field"]) if row["field"] else None
    return other is not None and other != row["override_id"]


def field_history(reading: Reading, product_id: str, field: str) -> answers.FieldHistory:
    """Every value a field of a product had by run, equal ones in a row as one. Raises NotFound."""
    rows = reading.rows("SELECT run, gone, values FROM products_log WHERE product_id = ? ORDER BY run", [product_id])
    if not rows:
        raise NotFound(f"there is no product {product_id!r}", "search at /products")
    if field not in fields():
        raise NotFound(f"a product has no field {field!r}", f"its fields are {', '.join(fields())}")
    versions: list[answers.Version] = []
    for row in rows:
        version = _version(row["run"], None if row["gone"] else next((value for value in row["values"] if value["field"] == field), None))
        if not versions or _told(versions[-1]) != _told(version):
            versions.append(version)
    return answers.FieldHistory(snapshot=reading.snapshot_id, product_id=product_id, field=field, versions=versions[::-1])


def suggestions(reading: Reading, field: str, typed: str) -> answers.Suggestions:
    """Values of a field that hold every word typed, those that begin with it first, then the most used. Raises NotFound for another field."""
    if field not in fields():
        raise NotFound(f"a product has no field {field!r}", f"its fields are {', '.join(fields())}")
    known = reading.keep(f"values of {field}", lambda reading: [(value, value.casefold()) for value in _known(reading, field)])
    wanted = typed.casefold().strip()
    words = wanted.split()
    found = [(not folded.startswith(wanted), place, value) for place, (value, folded) in enumerate(known) if all(word in folded for word in words)]
    return answers.Suggestions(snapshot=reading.snapshot_id, values=[value for _inside, _place, value in sorted(found)[:MOST_SUGGESTED]])


def _known(reading: Reading, field: str) -> list[str]:
    """Every value of a field, the most used first; titles and numbers of single products are no choice."""
    if field in LIVE_ONLY:
        return []
    rows = reading.rows("SELECT value FROM facts WHERE attribute = ? GROUP BY value ORDER BY count(*) DESC, value", [field])
    used = [row["value"] for row in rows]
    if field != "category":
        return used
    known = set(used)
    return [*used, *(path for path in house_categories(reading.home) if path not in known)]


def _version(run: int, value: Mapping[str, Any] | None) -> answers.Version:
    told = ("value", "source_offer_id", "extractor", "override_id", "confidence")
    return answers.Version(run=run, **{name: value[name] if value else None for name in told})


def _told(version: answers.Version) -> tuple[Any, ...]:
    return version.value, version.source_offer_id, version.override_id
