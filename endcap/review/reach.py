"""What a person may change: the offers and products of their scopes, as conditions that stand in the queries themselves.

An offer is in a category where the product is to which it belongs, or which is proposed for it; else where it says itself. A product is within
somebody's reach where all of its offers are: a value, a merge or a lock touches each of them. Looking is free to all who may sign in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from endcap.ops.access import Person
from endcap.ops.home import Home
from endcap.ops.scopes import ROLES, condition
from endcap.ops.tables import OVERRIDES
from endcap.review.shown import Tables

Condition = tuple[str, list[Any]]

_OFFERS = """
    SELECT {what} FROM decisions m JOIN offers o ON o.offer_id = m.offer_id
    LEFT JOIN products p ON p.product_id = coalesce(m.product_id, m.proposed_product_id)
    LEFT JOIN decisions k ON k.offer_id = m.offer_id AND k.kind = 'category'
    WHERE m.kind = 'product'
"""
_PLACES = {"offer": ("decisions", "offer_id"), "product": ("products", "product_id"), "feed": ("deliveries", "feed")}
_CATEGORY = "coalesce(p.category, k.value)"


def within(person: Person, of: str, column: str, role: str = "reviewer") -> Condition:
    """(SQL, the values to bind) that holds where the person may do what `role` may with the offer, product or feed (`of`) that `column` names."""
    if of == "feed":  # holds goods of every category, so that only its supplier says whose it is
        sql, values = condition(person.reach, role, "m.supplier", "NULL")
        inner = f"SELECT m.feed FROM deliveries m WHERE {sql}"
    else:
        sql, values = condition(person.reach, role, "o.supplier", _CATEGORY)
        inner = f"{_OFFERS.format(what='m.offer_id')} AND ({sql})"
        if of == "product":
            inner = f"{_OFFERS.format(what='m.product_id')} AND m.product_id IS NOT NULL GROUP BY m.product_id HAVING bool_and({sql})"
    return ("TRUE", []) if sql == "TRUE" else (f"{column} IN ({inner})", values)


def chosen(tables: Tables, person: Person, of: str, ids: Iterable[str], role: str = "reviewer") -> set[str]:
    """Those of the offers, products or feeds with which the person may do what `role` may; what is not there is not among them."""
    wanted, (table, column) = sorted(set(ids)), _PLACES[of]
    if not wanted:
        return set()
    sql, values = within(person, of, column, role)
    if sql == "TRUE" and of != "feed":
        return {row[column] for row in tables.find(table, column, wanted, (column,))}
    found = tables.rows(f"SELECT DISTINCT {column} AS id FROM {table} WHERE {column} IN ({', '.join('?' * len(wanted))}) AND {sql}", [*wanted, *values])
    return {row["id"] for row in found}


def role_for(tables: Tables, person: Person, of: str, ids: Sequence[str]) -> str | None:
    """The highest role that the person has for all of them; None where one of them is out of reach."""
    if person.scopes is None:
        return person.role
    for role in reversed(ROLES[1:]):
        if person.may(role) and chosen(tables, person, of, ids, role) == set(ids):
            return role
    return None


def roles_for(tables: Tables, person: Person, of: str, ids: Iterable[str]) -> dict[str, str]:
    """The highest role that the person has for each of them; those out of reach are left out."""
    if person.scopes is None:
        return dict.fromkeys(ids, person.role)
    found: dict[str, str] = {}
    for role in reversed(ROLES[1:]):
        if person.may(role):
            found |= dict.fromkeys(chosen(tables, person, of, set(ids) - found.keys(), role), role)
    return found


def role_for_answer(home: Home, tables: Tables, person: Person, override_id: int) -> str | None:
    """The highest role that the person has for everything that an answer, with all given as one with it, is about; None where it is out of reach."""
    if person.scopes is None:
        return person.role
    with home.engine.connect() as connection:
        one = connection.execute(select(OVERRIDES).where(OVERRIDES.c.override_id == override_id)).mappings().first()
        if one is None:
            return None
        together = OVERRIDES.c.override_id == override_id if one["group_id"] is None else OVERRIDES.c.group_id == one["group_id"]
        rows = connection.execute(select(OVERRIDES.c.offer_id, OVERRIDES.c.product_id, OVERRIDES.c.field).where(together)).all()
    about = {"offer": {row.offer_id for row in rows if row.field is None}, "product": {row.product_id for row in rows if row.field is not None}}
    roles = [role_for(tables, person, of, sorted(ids)) for of, ids in about.items() if ids]
    return None if None in roles else min((role for role in roles if role), key=ROLES.index, default=None)
