"""Small tables for the cases of metrics: rows given in part, the rest filled with neutral values."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from endcap import schema

Tables = Mapping[str, Sequence[Mapping[str, Any]]]

# The columns of the operational tables that metrics, digests and pages read; all are text but the ones named after.
OPERATIONAL: dict[str, str] = {
    "runs": "attempt_id run state snapshot_id started_at finished_at deliveries_json figures_json error",
    "snapshots": "snapshot_id parent run content_hash manifest_json published_json created_at current",
    "overrides": "override_id offer_id action product_id counterpart_offer_id actor team reason_code note undoes identity_hash snapshot_id at group_id "
    "evidence model seconds key field value said role until",
    "promotions": "promotion_id kind model_id previous action actor reason data_version at proposal_id scope",
    "releases": "feed date actor reason at sha256",
    "teams": "team scope since",
    "loops": "loop_id title source offer_id counterpart_offer_id product_id expected field value reporter owner duplicate_of "
    "override_id opened_at acknowledged_at decided_at released_at in_snapshot_at verified_at closed_at reopened cause comment "
    "replay_json",
    "proposals": "proposal_id state kind owner approver automatic hypothesis scope change artefact_kind artefact metric effect "
    "details_json trial_id verdict text created_at decided_at promoted_at confirm_on",
    "proposal_events": "event_id proposal_id state actor reason details_json at",
    "postmortems": "postmortem_id proposal_id promotion_id title cause owner text details_json opened_at due_on closed_at",
    "switches": "switch_id scope automation actor reason at",
    "alarms": "alarm_id run name scope cause words figures_json at closed_at",
    "reviewer_holds": "hold_id person held actor reason at",
    "blind_asks": "ask_id offer_id asked_of purpose override_id product_id counterpart_offer_id asked_at action chosen agrees answered_at "
    "after_override key stratum probability run decided confidence",
}
_NUMBERS = (
    "after_override", "alarm_id", "ask_id", "attempt_id", "duplicate_of", "event_id", "hold_id", "identity_hash", "loop_id", "override_id", "postmortem_id",
    "promotion_id", "proposal_id", "reopened", "run", "switch_id", "undoes",
)  # fmt: skip
_TYPES: dict[str, str] = {
    **dict.fromkeys(_NUMBERS, "BIGINT"), **dict.fromkeys(("agrees", "automatic", "automation", "current", "held"), "BOOLEAN"),
    **dict.fromkeys(("confidence", "probability", "seconds"), "DOUBLE"),
}  # fmt: skip


_HINTS: dict[type[Any], dict[str, Any]] = {}


def connection(tables: Tables) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection that looks like a catalog's: lake tables, their logs, and the operational tables.

    In: rows by table name, each with only the columns that matter. Rows without `run` were written by run 1.
    Raises KeyError for an unknown table or column.
    """
    con = duckdb.connect(":memory:")
    unknown = set(tables) - set(schema.BY_TABLE) - set(OPERATIONAL)
    if unknown:
        raise KeyError(f"no such table: {', '.join(sorted(unknown))}")
    for table, noun in schema.BY_TABLE.items():
        con.register(f"{table}_log", lake_table(noun, tables.get(table, ())))
        key = ", ".join(noun.KEY)
        newest = f"SELECT * FROM {table}_log QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY run DESC) = 1"
        con.execute(f"CREATE VIEW {table} AS SELECT * FROM ({newest}) WHERE NOT gone")
    for table, columns in OPERATIONAL.items():
        typed = [f'"{name}" {_TYPES.get(name, "VARCHAR")}' for name in columns.split()]
        con.execute(f"CREATE TABLE {table} ({', '.join(typed)})")
        for row in tables.get(table, ()):
            named = ", ".join(f'"{name}"' for name in row)
            con.execute(f"INSERT INTO {table} ({named}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    return con


def lake_table(noun: Any, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows given in part as a whole Arrow table of a noun."""
    return pa.Table.from_pylist([_filled(noun, row) for row in rows], schema=schema.arrow_schema(noun))


def _filled(row_type: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    hints = _hints(row_type)
    unknown = set(given) - set(hints)
    if unknown:
        raise KeyError(f"{row_type.__name__} has no column {', '.join(sorted(unknown))}")
    return {name: _value(name, hint, given) for name, hint in hints.items()}


def _hints(row_type: type[Any]) -> dict[str, Any]:
    """The columns of a noun with their types, in order; found once, since that is dear."""
    if row_type not in _HINTS:
        hints = typing.get_type_hints(row_type)
        _HINTS[row_type] = {field.name: hints[field.name] for field in dataclasses.fields(row_type)}
    return _HINTS[row_type]


def _value(name: str, hint: Any, given: Mapping[str, Any]) -> Any:
    if name not in given:
        return 1 if name == "run" else _neutral(hint)
    value = given[name]
    plain = next((arg for arg in typing.get_args(hint) if arg is not type(None)), hint) if isinstance(hint, types.UnionType) else hint
    if plain is Decimal and value is not None:
        return Decimal(str(value))
    if typing.get_origin(plain) is list and dataclasses.is_dataclass(typing.get_args(plain)[0]):
        return [_filled(typing.get_args(plain)[0], inner) for inner in value]
    return value


def _neutral(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return None
    if typing.get_origin(hint) is list:
        return []
    return {str: "", int: 0, float: 0.0, bool: False, bytes: b"", Decimal: Decimal(0)}[hint]
