"""Facts of offers: every attribute of the shelf over a batch of offers, the best value of each kept.

Row-independent: a pure function over record batches, given what is known as the folder it was saved to.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from endcap import engine as engines
from endcap import shelf
from endcap.infer.attributes import Found, OfferText, best
from endcap.infer.known import Known, remembered
from endcap.schema import Fact, arrow_schema
from endcap.text import TITLE_LETTERS

LEAST_CONFIDENCE = 0.05
_COLUMNS = ("title", "feed", "brand", "description", "category_path", "quantity_text", "details_json")


def find_facts(offers: pa.Table, known: Known, *, run: int, engine: str = "local", cores: int = 0, batch_rows: int = 10_000) -> pa.Table:
    """Facts (schema Fact) of Offer rows: at most one value per offer and attribute, sorted by both; independent of row order."""
    schema = arrow_schema(Fact)
    wanted = offers.select(["offer_id", *_COLUMNS]).combine_chunks()
    with tempfile.TemporaryDirectory(prefix="endcap-known-") as folder:
        # Workers may be other processes: they are handed plain data, the folder and what must lie in it.
        known.save(Path(folder))
        find = partial(find_batch, folder=folder, known_id=known.known_id, run=run)
        batches = list(engines.run(engine, find, wanted.to_batches(max_chunksize=batch_rows), cores=cores))
    facts = pa.Table.from_batches(batches, schema=schema) if batches else schema.empty_table()
    return facts.sort_by([("offer_id", "ascending"), ("attribute", "ascending")])


def find_batch(batch: pa.RecordBatch, *, folder: str, known_id: str, run: int) -> pa.RecordBatch:
    """Facts of one batch of offers, in the order of the offers."""
    known = remembered(folder, known_id)
    offers = list(offer_texts(batch))
    ids: list[Any] = batch.column("offer_id").to_pylist()
    columns: dict[str, list[Any]] = {name: [] for name in arrow_schema(Fact).names}
    for name, component in shelf.components("attributes").items():
        for offer_id, found in zip(ids, find_all(component, offers, known), strict=True):
            chosen = best(found)
            if chosen is not None and chosen.confidence >= LEAST_CONFIDENCE:
                _append(columns, offer_id, name, component.VERSION, known.meant(name, chosen.value), chosen, known_id)
    rows = len(columns["offer_id"])
    columns["run"], columns["gone"] = [run] * rows, [False] * rows
    return pa.RecordBatch.from_pydict(columns, schema=arrow_schema(Fact))


def find_all(component: ModuleType, offers: Sequence[OfferText], known: Known) -> list[list[Found]]:
    """One attribute's values for each offer, by the component's column form where it has one."""
    if hasattr(component, "find_all"):
        found: list[list[Found]] = component.find_all(offers, known)
        return found
    return [component.find(offer, known) for offer in offers]


def offer_texts(batch: pa.RecordBatch) -> Iterator[OfferText]:
    """The texts of Offer rows."""
    rows: Iterator[Any] = zip(*(batch.column(name).to_pylist() for name in _COLUMNS), strict=True)
    for title, feed, brand, description, category_path, quantity_text, details in rows:
        yield OfferText(title[:TITLE_LETTERS], feed, brand, description, category_path, quantity_text, json.loads(details) if details else {})


def _append(columns: dict[str, list[Any]], offer_id: str, attribute: str, version: int, value: str, found: Found, known_id: str) -> None:
    columns["offer_id"].append(offer_id)
    columns["attribute"].append(attribute)
    columns["value"].append(value)
    columns["unit"].append(found.unit)
    columns["confidence"].append(found.confidence)
    columns["evidence_field"].append(found.field)
    columns["evidence_start"].append(found.start)
    columns["evidence_end"].append(found.end)
    columns["extractor"].append(f"{found.extractor or attribute}@{version}")
    columns["model"].append(known_id if found.learnt or value != found.value else None)
