"""The checks every shelf component must pass, built-in or a stranger's: `endcap check`, and the same in our tests.

A check is a function that raises AssertionError with a sentence; `KINDS` lists the checks of each shelf.
"""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from endcap import shelf
from endcap.problems import BadInput

MAX_SENTENCE = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """One check of one component; `fault` is empty when it passed."""

    component: str  # shelf:name
    check: str
    fault: str


def check_all(which: str = "") -> list[Checked]:
    """Run the checks of every shelf, of one shelf (`features`), or of one component (`features:gtin`).

    Raises BadInput for a shelf or component that is not there.
    """
    shelf_name, _colon, component_name = which.partition(":")
    if shelf_name and shelf_name not in shelf.SHELVES:
        raise BadInput(f"there is no shelf {shelf_name!r}", where="check", todo=f"shelves: {', '.join(shelf.SHELVES)}")
    if component_name and component_name not in shelf.names(shelf_name):
        raise BadInput(f"there is no {component_name!r} on the shelf {shelf_name}", where="check", todo=f"there are {', '.join(shelf.names(shelf_name))}")
    results = []
    for name in [shelf_name] if shelf_name else list(shelf.SHELVES):
        for component in [component_name] if component_name else shelf.names(name):
            results += [_run(check, name, component) for check in (has_a_sentence, *KINDS[name])]
    return results


def _run(check: Callable[[ModuleType], None], shelf_name: str, component: str) -> Checked:
    fault = ""
    try:
        check(shelf.component(shelf_name, component))
    except AssertionError as error:
        fault = str(error) or "failed"
    except Exception as error:  # a stranger's component may raise anything; that is a fault, not our end
        fault = f"raised {type(error).__name__}: {error}"
    return Checked(f"{shelf_name}:{component}", check.__name__, fault)


# --- every component ------------------------------------------------------------------------------------------------


def has_a_sentence(module: ModuleType) -> None:
    """Its docstring begins with one sentence for people."""
    sentence = (module.__doc__ or "").strip().split("\n")[0]
    assert 10 <= len(sentence) <= MAX_SENTENCE, "the docstring's first line must be one sentence for people"


def has_cases(module: ModuleType) -> None:
    """It brings its own cases."""
    assert getattr(module, "CASES", ()), "CASES must hold at least one case"


# --- formats --------------------------------------------------------------------------------------------------------


def format_reads_its_cases(module: ModuleType) -> None:
    """Its cases come out as stated: records as text, or a quarantine code; the same on a second reading."""
    for data, options, expected in module.CASES:
        found = _records(module, data, options)
        assert found == expected, f"{data[:80]!r} gave {found!r}, expected {expected!r}"
        assert _records(module, data, options) == found, f"{data[:80]!r} read differently the second time"
        assert all(_is_text(record) for record in found if not isinstance(record, str)), f"{data[:80]!r} has a value that is not text"


def format_refuses_what_is_broken(module: ModuleType) -> None:
    """What is not of this format is refused with its code, never read as an empty table."""
    from endcap.feeds.record import Unreadable

    for data, options, code in module.BROKEN:
        try:
            found = _records(module, data, options)
        except Unreadable as refusal:
            assert refusal.code == code, f"{data[:80]!r} was refused as {refusal.code}, expected {code}"
        else:
            raise AssertionError(f"{data[:80]!r} was read as {found!r}, expected refusal {code}")


def format_says_its_options(module: ModuleType) -> None:
    """Every option has its sentence."""
    assert all(len(sentence) > 10 for sentence in module.OPTIONS.values()), "every option needs a sentence"


def _records(module: ModuleType, data: bytes, options: dict[str, Any]) -> list[Any]:
    from endcap.feeds.record import BadRecord

    found: list[tuple[int, Any]] = []
    for chunk in module.split(io.BytesIO(data), options):
        for position, raw in zip(chunk.positions, chunk.records, strict=True):
            try:
                found.append((position, module.decode(raw, chunk.header, options)))
            except BadRecord as bad:
                found.append((position, bad.code))
        found += [(cut.position, cut.code) for cut in chunk.unreadable]
    return [record for _position, record in sorted(found, key=lambda one: one[0])]


def _is_text(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_text(inner) for name, inner in value.items())
    return all(_is_text(inner) for inner in value) if isinstance(value, list) else value is None or isinstance(value, str)


# --- pair features --------------------------------------------------------------------------------------------------


def feature_gives_its_cases(module: ModuleType) -> None:
    """Its cases give the stated values, the same from both sides, and words that do not raise."""
    from endcap.match.explain import read_records

    for left, right, expected in module.CASES:
        one, other = read_records([left, right])
        value, mirrored = module.compare(one, other), module.compare(other, one)
        assert _equal(value, expected), f"{left} and {right} gave {value}, expected {expected}"
        assert _equal(value, mirrored), f"{left} and {right} gave {value}, mirrored {mirrored}"
        assert isinstance(module.words(one, other, value), str), "words must be a text"


def feature_says_what_it_is(module: ModuleType) -> None:
    """It names its view and direction."""
    assert module.VIEW in ("key", "content", "context"), "VIEW must be key, content or context"
    assert module.DIRECTION in (-1, 0, 1), "DIRECTION must be -1, 0 or 1"


def feature_columns_agree(module: ModuleType) -> None:
    """Its column form equals its comparison of records, pair by pair, on a small catalog, whichever way round."""
    from endcap.match.sample import sample_pairs

    pairs, records = sample_pairs()
    column = np.asarray(module.column(pairs), dtype=np.float64)
    assert column.shape == (len(records),), f"the column has shape {column.shape} for {len(records)} pairs"
    for place, (one, other) in enumerate(records):
        value = module.compare(one, other)
        assert _equal(value, column[place], 1e-4), f"pair {place}: compare gives {value}, the column {column[place]}"
    mirrored = np.asarray(module.column(pairs.mirrored()), dtype=np.float64)
    assert np.allclose(column, mirrored, rtol=1e-6, equal_nan=True), "the column differs when pairs are turned round"


def _equal(value: float | None, expected: float | None, tolerance: float = 1e-6) -> bool:
    if value is None or expected is None:
        return value is expected
    return (math.isnan(value) and math.isnan(expected)) or math.isclose(value, expected, rel_tol=tolerance, abs_tol=tolerance)


# --- attributes -----------------------------------------------------------------------------------------------------


def attribute_finds_its_cases(module: ModuleType) -> None:
    """Its cases give the stated value, with evidence that lies where it says and a confidence from 0 to 1."""
    from endcap.infer.attributes import OfferText, best
    from endcap.infer.brands import Brands
    from endcap.infer.categories import Categories
    from endcap.infer.known import Known

    known = Known(Brands(), Categories())
    for given, expected in module.CASES:
        offer = OfferText(**given)
        found = module.find(offer, known)
        chosen = best(found)
        value = chosen.value if chosen else None
        assert value == expected, f"{given} gave {value!r}, expected {expected!r}"
        for one in found:
            assert 0 <= one.confidence <= 1, f"{given}: confidence {one.confidence}"
            assert one.start is None or 0 <= one.start < one.end, f"{given}: span {one.start} to {one.end}"
        if hasattr(module, "find_all"):
            assert module.find_all([offer], known) == [found], f"{given}: find and find_all differ"


# --- metrics --------------------------------------------------------------------------------------------------------


def metric_measures_its_cases(module: ModuleType) -> None:
    """Its cases give the stated values; below its minimum n it shows none, and says so."""
    from endcap.metrics._cases import connection

    for tables, expected in module.CASES:
        figures = {figure.name: figure for figure in module.measure(connection(tables), min_n=1)}
        for name, (value, n) in expected.items():
            figure = figures[name]
            assert figure.n == n, f"{name} has n = {figure.n}, expected {n}"
            assert _equal(figure.value, value), f"{name} gave {figure.value}, expected {value}"
        for figure in module.measure(connection(tables)):
            assert figure.value is not None or "not enough data" in figure.words, f"{figure.name} hides its value without saying so"


def metric_says_what_it_is(module: ModuleType) -> None:
    """It names itself, its version, grain, direction, minimum n and guard rails."""
    assert module.DIRECTION in ("up", "down"), "DIRECTION must be up or down"
    assert module.NAME and module.GRAIN and module.VERSION >= 1 and module.MIN_N >= 0, "NAME, GRAIN, VERSION and MIN_N must be given"
    assert isinstance(module.GUARD_RAILS, Iterable), "GUARD_RAILS must be listed"


# --- publish targets ------------------------------------------------------------------------------------------------


def target_writes_back_its_cases(module: ModuleType) -> None:
    """What it writes, it reads back equal; the same table gives the same bytes."""
    from endcap.publish.products import PUBLISHED

    plain = {"title": "", "offers": 0, "suppliers": 0, "offer_ids": [], "values": []}
    for rows in module.CASES:
        prices = [{name: Decimal(row[name]) for name in ("price_min", "price_max") if row.get(name)} for row in rows]
        table = pa.Table.from_pylist([{**plain, **row, **priced} for row, priced in zip(rows, prices, strict=True)], schema=PUBLISHED)
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            paths, again = module.write(table, Path(first)), module.write(table, Path(second))
            assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again], "two writings differ"
            assert module.read(Path(first), PUBLISHED).equals(table), f"{rows} did not come back equal"


# --- engines --------------------------------------------------------------------------------------------------------


def doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The function engines are checked with."""
    return pa.RecordBatch.from_pydict({"n": [2 * n for n in batch.column("n").to_pylist()]})


def engine_keeps_order(module: ModuleType) -> None:
    """Results come in the order of the input, for no batch, one batch, and more than are held in flight."""
    for count in (0, 1, 25):
        batches = (pa.RecordBatch.from_pydict({"n": [number]}) for number in range(count))
        found = [batch.column("n").to_pylist()[0] for batch in module.run(doubled, batches, cores=2)]
        assert found == [2 * number for number in range(count)], f"{count} batches came back as {found}"


# --- pages ----------------------------------------------------------------------------------------------------------


def page_has_routes(module: ModuleType) -> None:
    """It brings a router with at least one page."""
    assert module.router.routes, "a page needs a router with a route"


KINDS: dict[str, tuple[Callable[[ModuleType], None], ...]] = {
    "formats": (has_cases, format_reads_its_cases, format_refuses_what_is_broken, format_says_its_options),
    "features": (has_cases, feature_says_what_it_is, feature_gives_its_cases, feature_columns_agree),
    "attributes": (has_cases, attribute_finds_its_cases),
    "metrics": (has_cases, metric_says_what_it_is, metric_measures_its_cases),
    "targets": (has_cases, target_writes_back_its_cases),
    "engines": (engine_keeps_order,),
    "pages": (page_has_routes,),
}
