"""One JSON reader for all formats: every value as text, exactly as written; nothing is rounded, nothing is overwritten."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from endcap.feeds.record import BadRecord

TRUTH: dict[Any, str] = {True: "true", False: "false"}


def decode_object(raw: bytes, encoding: str = "utf-8") -> dict[str, Any]:
    """One JSON object as nested dicts and lists of text; None stays None.

    Raises BadRecord for bytes that are no text or no JSON, a name given twice, NaN, depth, half characters, anything but an object.
    """
    try:
        text = raw.decode(encoding)
        record = json.loads(text, object_pairs_hook=_object, parse_int=_as_written, parse_float=_as_written, parse_constant=_not_a_number)
    except UnicodeDecodeError as error:
        raise BadRecord("bad_encoding", f"byte {error.start + 1} of the record is not {encoding}") from None
    except json.JSONDecodeError as error:
        raise BadRecord("bad_json", f"the record is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise BadRecord("too_deep", "the record is nested too deeply") from None
    if not isinstance(record, dict):
        raise BadRecord("not_an_object", f"the record is not an object of names and values but {type(record).__name__}")
    if b"\\ud" in raw or b"\\uD" in raw:
        _refuse_half_characters(record)
    if b"true" in raw or b"false" in raw:
        record = _truth_in_words(record)
    return record


def _as_written(number: str) -> str:
    return number


def _not_a_number(name: str) -> NoReturn:
    raise BadRecord("not_a_number", f"the record holds {name}, which is no JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRecord("duplicate_name", f"the record states {twice[:60]!r} twice")
    return result


def _refuse_half_characters(record: dict[str, Any]) -> None:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRecord("half_character", "the record holds half of a character (a lone surrogate)") from None


def _truth_in_words(value: Any) -> Any:
    kind = type(value)
    if kind is dict:
        return {name: item if type(item) is str else _truth_in_words(item) for name, item in value.items()}
    if kind is list:
        return [_truth_in_words(item) for item in value]
    return TRUTH[value] if kind is bool else value
