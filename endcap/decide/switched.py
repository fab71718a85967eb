"""Where automation is switched off: offers there are asked about, whatever the machine would have done; what is linked stays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from endcap.problems import BadInput

CODE = "automation_off"

_IN_SCOPE = {
    "*": "SELECT offer_id FROM offers",
    "feed": "SELECT offer_id FROM offers WHERE feed = $name",
    "supplier": "SELECT offer_id FROM offers WHERE supplier = $name",
    "category": "SELECT offer_id FROM facts WHERE attribute = 'category' AND (value = $name OR starts_with(value, $name || ' > '))",
}
# What the machine decided and nothing changed since; it was decided while automation was on.
_STANDING = """
    SELECT d.offer_id FROM decisions d JOIN offers o USING (offer_id)
    WHERE d.kind = 'product' AND d.product_id IS NOT NULL AND d.decided_by = 'machine' AND d.identity_hash = o.identity_hash
"""


def newest_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The newest row of each scope, of rows of SWITCHES in the order of their ids."""
    return {str(row["scope"]): dict(row) for row in rows}


def scopes_off(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Each scope in which automation is off now, with the words for people."""
    return {
        scope: f"automation is off for {'everything' if scope == '*' else scope}: {row['reason']}"
        for scope, row in newest_of(rows).items() if not row["automation"]
    }  # fmt: skip


def key_of(off: Mapping[str, str]) -> str:
    """Short text that differs where other scopes are off; empty where none is."""
    return hashlib.sha256(json.dumps(sorted(off)).encode()).hexdigest()[:12] if off else ""


def offers_in(con: duckdb.DuckDBPyConnection, scope: str) -> list[str]:
    """Live offers of a scope as switches name it, in order."""
    kind, _colon, name = scope.partition(":")
    if kind not in _IN_SCOPE:
        raise BadInput(f"{scope[:80]!r} is no scope of a switch", where="switches", todo="it came past the product: see `endcap audit verify`")
    query = f"SELECT DISTINCT offer_id FROM ({_IN_SCOPE[kind]}) SEMI JOIN offers USING (offer_id) ORDER BY offer_id"
    return [row[0] for row in con.execute(query, {} if kind == "*" else {"name": name}).fetchall()]


def offers_off(con: duckdb.DuckDBPyConnection, off: Mapping[str, str]) -> dict[str, str]:
    """Every live offer about which the machine may not decide, with why."""
    found: dict[str, str] = {}
    for scope, words in off.items():
        for offer_id in offers_in(con, scope):
            found.setdefault(offer_id, words)
    return found


def without_standing(con: duckdb.DuckDBPyConnection, open_ids: pa.Array, off: Mapping[str, str], answered: Iterable[str]) -> pa.Array:
    """The offers to decide, less those that are off and stand as they were decided before; what a person answered is decided all the same."""
    if not off:
        return open_ids
    standing = {row[0] for row in con.execute(_STANDING).fetchall()} & off.keys() - set(answered)
    return pa.array([one for one in open_ids.to_pylist() if one not in standing], pa.string())
