"""What every feed format must pass: its own cases, and the promises all formats make to the reader."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any

from endcap.feeds.record import BadRecord, Options, Unreadable

MUST_HAVE = ("OPTIONS", "KINDS", "CASES", "BROKEN", "split", "decode")


def failures(component: ModuleType) -> list[str]:
    """Sentences on what a format does not keep; none when it is in order.

    Checked: it has its parts and its sentence; CASES (bytes, options, records or reason codes in order) and BROKEN (bytes, options,
    code of Unreadable) come out as written; positions count from 1 without gaps; the same bytes cut twice give the same records.
    """
    missing = [name for name in MUST_HAVE if not hasattr(component, name)]
    if missing or not (component.__doc__ or "").strip():
        return [f"it lacks {', '.join(missing) or 'its sentence'}"]
    said = [f"{raw[:60]!r}: {problem}" for raw, options, expected in component.CASES for problem in _case(component, raw, options, expected)]
    said += [f"{raw[:60]!r}: {problem}" for raw, options, code in component.BROKEN for problem in _broken(component, raw, options, code)]
    return said


def read_all(component: ModuleType, raw: bytes, options: Options) -> dict[int, dict[str, Any] | str]:
    """Every record of a delivery by position: decoded, or its reason code."""
    found: dict[int, dict[str, Any] | str] = {}
    for chunk in component.split(io.BytesIO(raw), options):
        found |= {cut.position: cut.code for cut in chunk.unreadable}
        for position, record in zip(chunk.positions, chunk.records, strict=True):
            try:
                found[position] = component.decode(record, chunk.header, options)
            except BadRecord as bad:
                found[position] = bad.code
    return found


def _case(component: ModuleType, raw: bytes, options: Options, expected: list[Any]) -> list[str]:
    found, again = read_all(component, raw, options), read_all(component, raw, options)
    said = [] if found == again else ["reading it twice gives two answers"]
    if sorted(found) != list(range(1, len(found) + 1)):
        said.append(f"positions are {sorted(found)[:5]}, not 1, 2, 3 ...")
    records = [found[position] for position in sorted(found)]
    return said if records == expected else [*said, f"gave {records!r:.300}, not {expected!r:.300}"]


def _broken(component: ModuleType, raw: bytes, options: Options, code: str) -> list[str]:
    try:
        read_all(component, raw, options)
    except Unreadable as bad:
        return [] if bad.code == code else [f"was refused as {bad.code}, not {code}"]
    return [f"was read, not refused as {code}"]
