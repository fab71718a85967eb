"""What a delivery must have: known options, the mapped columns, the paths that its mapping names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from endcap import shelf
from endcap.feeds.mapping import CONTENT, find, paths, sources, steps_of
from endcap.feeds.record import BadRecord, Header, Unreadable
from endcap.feeds.sorting import Sorted
from endcap.feeds.values import listed, quoted
from endcap.problems import BadInput
from endcap.settings import Feed

SAMPLE_RECORDS = 1_000
DEEPEST_NAMED = 3
COLUMNS = "columns"  # what stands for a field where `feed.columns` asks


def check_options(name: str, feed: Feed, component: ModuleType) -> None:
    """Raises BadInput naming every option that the feed's format does not have."""
    known: dict[str, str] = getattr(component, "OPTIONS", {})
    unknown = [f"{option!r}{_nearest(option, known)}" for option in feed.options if option not in known]
    if unknown:
        raise BadInput(f"feeds.{name}.options: the format {feed.format} has no option {', '.join(unknown)}", todo="correct the settings")


def check_header(name: str, feed: Feed, header: Header, file: Path, *, first_delivery: bool) -> None:
    """Where the delivery has columns, the mapped ones must be among them.

    On a first delivery every missing one is a mistake (BadInput, all at once). Later only the columns of required fields and of
    `feed.columns` are: then the delivery is Unreadable, and the guards see to the others. A mapped name that two columns bear says
    nothing about which is meant: that is refused too.
    """
    if not header.columns:
        return
    _refuse_twins(name, feed, header, file, first_delivery=first_delivery)
    wanted = _mapped(feed, only_required=not first_delivery)
    missing = [_missing(label, group, header.columns) for label, group in wanted if not any(_has(path, header.columns) for path in group)]
    if not missing:
        return
    hint = "; its header was read as one column, so is options.delimiter right?" if len(header.columns) == 1 else ""
    sentence = "; ".join(missing) + f"; its columns are {listed(header.columns)}{hint}"
    if first_delivery:
        raise BadInput(f"{name}: {sentence}", where=str(file), todo="correct the mapping in the settings")
    raise Unreadable("missing_column", sentence, "ask the supplier what changed, or correct the mapping")


def _refuse_twins(name: str, feed: Feed, header: Header, file: Path, *, first_delivery: bool) -> None:
    """A second `title` is read as `title#2`; a person who names it anywhere in the settings knows of it."""
    wanted = list(_mapped(feed, only_required=False))
    named = {path for _, group in wanted for path in group}
    twins = [
        f"the field {label} is mapped to {quoted(path)}, which the delivery has more than once"
        for label, group in wanted for path in group
        if label != COLUMNS and path in header.columns and f"{path}#2" in header.columns and f"{path}#2" not in named
    ]  # fmt: skip
    if not twins:
        return
    sentence = "; ".join(twins)
    todo = "map NAME#2 for the second, or, where the first is meant, name NAME#2 under the feed's columns"
    if first_delivery:
        raise BadInput(f"{name}: {sentence}", where=str(file), todo=todo)
    raise Unreadable("twin_columns", sentence, f"ask the supplier what changed, or {todo}")


def missing_paths(feed: Feed, header: Header, first_records: list[bytes], result: Sorted, *, first: bool) -> list[str]:
    """Mapped paths into records without a header that none of the first records has, one clause each, and what they have instead.

    Looked at for every field that no offer states on a first delivery, later for required ones, and always for `feed.columns`.
    """
    if header.columns:
        return []
    if not (first or len(result.decoded) or feed.columns):
        return []
    suspects = [(label, group) for label, group in _mapped(feed, only_required=not first) if label == COLUMNS or _states_nothing(label, result)]
    if not suspects:
        return []
    records = list(_decoded(feed, header, first_records))
    there = sorted({name for record in records[:100] for name in _names(record)})
    missing = [
        _missing(label, group, there)
        for label, group in suspects
        if records and not any(_present(record, steps_of(path)) for record in records for path in group)
    ]
    return [*missing, f"the records have {listed(there)}"] if missing else []


def _mapped(feed: Feed, *, only_required: bool) -> Iterator[tuple[str, list[str]]]:
    """Everything the delivery must have: the field and the paths of which one must be there."""
    for label, source in sources(feed):
        if only_required and label not in feed.require:
            continue
        groups = [source.first] if source.first is not None else [[path] for path in paths(source)]
        yield from ((label, group) for group in groups)
    yield from ((COLUMNS, [path]) for path in feed.columns)


def _missing(label: str, group: list[str], there: Iterable[str]) -> str:
    what = "the settings ask for the column" if label == COLUMNS else f"the field {label} is mapped to"
    named = " or ".join(quoted(path) for path in group)
    return f"{what} {named}, which the delivery does not have{_nearest(group[0], there)}"


def _nearest(given: str, known: Iterable[str]) -> str:
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(given.casefold(), list(folded), n=1)
    return f" (did you mean {quoted(folded[close[0]])}?)" if close else ""


def _has(path: str, columns: tuple[str, ...]) -> bool:
    return path in columns or steps_of(path)[0] in columns


def _states_nothing(label: str, result: Sorted) -> bool:
    column = next((name for name, field in CONTENT.items() if field == label), None)
    if column is None or label in ("available", "gtin"):
        return True  # details and refused values: only the records themselves can tell
    rows = np.flatnonzero(result.decoded["code"].is_null().to_numpy())
    return int(result.decoded[column].take(rows).null_count) == len(rows)


def _decoded(feed: Feed, header: Header, raws: list[bytes]) -> Iterator[dict[str, Any]]:
    decode = shelf.component("formats", feed.format).decode
    for raw in raws:
        try:
            yield decode(raw, header, dict(feed.options))
        except BadRecord:
            continue


def _present(record: Any, steps: tuple[str, ...]) -> bool:
    """Whether the record has the path at all, though it may hold nothing there."""
    parent = find(record, steps[:-1])
    parents = parent if isinstance(parent, list) else [parent]
    return any(isinstance(one, dict) and steps[-1] in one for one in _flat(parents)) or (steps[-1] in "*0123456789" and any(parents))


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _names(record: Any, before: str = "", depth: int = 1) -> Iterator[str]:
    """Paths of a record, for people to choose from."""
    if isinstance(record, list):
        for item in record[:3]:
            yield from _names(item, f"{before}*.", depth)
    elif isinstance(record, dict):
        for name, value in record.items():
            yield f"{before}{name}"
            if depth < DEEPEST_NAMED:
                yield from _names(value, f"{before}{name}.", depth + 1)
