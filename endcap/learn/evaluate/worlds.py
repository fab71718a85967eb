"""Offers whose true products are known, in any of three shapes: two tables with their matches, one CSV of many sources, a sandbox world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from endcap import schema, settings
from endcap.infer import find_facts, learn_known
from endcap.learn.evaluate.cluster import read_offers
from endcap.learn.evaluate.memory import catalog_of
from endcap.learn.evaluate.tables import read_csv, read_matches, read_tables
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.schema import arrow_schema

OFFERS_FILE, TRUTH_FILE = "offers.csv", Path("truth") / "offers.csv"
SOURCES = ("merchant_id", "source", "feed", "supplier")
_TRUTH = """
    SELECT o.offer_id, coalesce(t.truth, 'unknown ' || o.offer_id) FROM offers o LEFT JOIN (
        SELECT offer_id, arg_max(product, date_from) AS truth FROM read_csv($file, header = true, all_varchar = true) GROUP BY offer_id) t USING (offer_id)
"""


@dataclass(frozen=True)
class World:
    """Offers in the order of their ids, what was found in them, and the true product of each."""

    name: str
    shape: str  # link | cluster | sandbox
    offers: pa.Table  # schema Offer
    facts: pa.Table  # schema Fact
    truth: Mapping[str, str]  # offer id -> true product
    catalog: settings.Catalog


def read_world(path: Path, *, truth: str = "cluster_id", source: str = "", hide: Sequence[str] = (), seed: int = 7) -> World:
    """Read a folder or a CSV file of any of the three shapes. Raises BadInput where it is none of them."""
    if path.is_file():
        return _of_sources(path, truth, source, hide, seed)
    if (path / TRUTH_FILE).is_file() and (path / settings.FILE_NAME).is_file():
        return _of_sandbox(path)
    if (path / OFFERS_FILE).is_file():
        return _of_sources(path / OFFERS_FILE, truth, source, hide, seed)
    if (path / "left.csv").is_file():
        return _of_two_tables(path, seed)
    todo = "name a folder with left.csv, right.csv and matches.csv, one with offers.csv, or a sandbox world after `endcap run`"
    raise BadInput("this is nothing whose truth is known", where=str(path), todo=todo)


def _of_sources(file: Path, truth: str, source: str, hide: Sequence[str], seed: int) -> World:
    if not source:
        head = read_csv(file, ((truth,), SOURCES))[:1]
        source = next((name for name in SOURCES if head and name in head[0]), SOURCES[0])
    read = read_offers(file, truth, source, hide, 0.0)
    named = dict(zip(read.table["offer_id"].to_pylist(), read.clusters.tolist(), strict=True))
    return _found(file.parent.name, "cluster", read.table, named, seed)


def _of_two_tables(folder: Path, seed: int) -> World:
    """Whatever is matched, directly or through others, is one product."""
    tables = read_tables(folder)
    first: dict[str, str] = {offer_id: offer_id for offer_id in tables.row_of}

    def root(offer_id: str) -> str:
        while first[offer_id] != offer_id:
            offer_id = first[offer_id]
        return offer_id

    for left, right in read_matches(folder, tables):
        one, other = sorted((root(f"left:{left}"), root(f"right:{right}")))
        first[other] = one
    return _found(tables.name, "link", tables.offers, {offer_id: root(offer_id) for offer_id in first}, seed)


def _found(name: str, shape: str, offers: pa.Table, truth: Mapping[str, str], seed: int) -> World:
    return World(name, shape, offers, find_facts(offers, learn_known(offers, None, seed=seed), run=1), truth, catalog_of(offers))


def _of_sandbox(folder: Path) -> World:
    home = Home(settings.read(folder))
    with home.connect() as con:
        offers = _rows(con, schema.Offer)
        facts = _rows(con, schema.Fact)
        truth = dict(con.execute(_TRUTH, {"file": str(folder / TRUTH_FILE)}).fetchall())
    return World(folder.resolve().name, "sandbox", offers, facts, truth, home.catalog)


def _rows(con: duckdb.DuckDBPyConnection, noun: type) -> pa.Table:
    key = ", ".join(noun.KEY)  # type: ignore[attr-defined]
    return con.sql(f"SELECT * FROM {noun.TABLE} ORDER BY {key}").to_arrow_table().cast(arrow_schema(noun))  # type: ignore[attr-defined]
