"""Which deliveries lie in the inbox and have not been read yet."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path

from endcap.feeds.opening import sha256_of
from endcap.problems import BadInput
from endcap.settings import Catalog

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivery waiting in the inbox."""

    feed: str
    date: str
    file: Path
    sha256: str


def pending(catalog: Catalog, done: set[tuple[str, str, str]], *, dates: list[str] | None = None, until: str | None = None) -> list[Arrival]:
    """Deliveries whose (feed, date, sha256) is not in `done`, ordered by date, then feed.

    A file whose name holds no date takes the day it was last written, in UTC. As any copying moves that day, the same bytes as in the
    feed's newest delivery of `done` are no new delivery, whatever the day.

    `dates` asks for these dates only, `until` for none later. Raises BadInput when a date is asked for that no feed delivered,
    a date is not one, or a feed's only file is missing.
    """
    for asked in [*(dates or []), *([until] if until else [])]:
        _check_date(asked)
    found = [(date, feed, file) for feed in sorted(catalog.feeds) for date, file in _files(catalog, feed)]
    _check_delivered(dates or [], {date for date, _, _ in found}, catalog)
    wanted = [one for one in found if (not dates or one[0] in dates) and (not until or one[0] <= until)]
    arrivals = [Arrival(feed, date, file, sha256_of(file)) for date, feed, file in sorted(wanted)]
    return [arrival for arrival in arrivals if (arrival.feed, arrival.date, arrival.sha256) not in done and not _seen_without_date(catalog, arrival, done)]


def _seen_without_date(catalog: Catalog, arrival: Arrival, done: set[tuple[str, str, str]]) -> bool:
    """Whether an undated file still holds what its feed delivered last."""
    if "{date}" in catalog.feeds[arrival.feed].file:
        return False
    dealt_with = [(date, sha256) for feed, date, sha256 in done if feed == arrival.feed]
    newest = max((date for date, _ in dealt_with), default=None)
    return (newest, arrival.sha256) in dealt_with


def file_of(catalog: Catalog, feed: str, date: str) -> Path | None:
    """The file of a feed's delivery of that date as it lies in the inbox now; None where there is none."""
    return dict(_files(catalog, feed)).get(date)


def _files(catalog: Catalog, feed: str) -> list[tuple[str, Path]]:
    """A feed's deliveries with their dates."""
    pattern, inbox = catalog.feeds[feed].file, catalog.inbox_path
    if "{date}" not in pattern:
        file = inbox / pattern
        if not file.is_file():
            raise BadInput(f"the feed {feed} has no delivery {pattern}", where=str(inbox), todo="put the file there, or correct feeds." + feed + ".file")
        return [(datetime.datetime.fromtimestamp(file.stat().st_mtime, datetime.UTC).date().isoformat(), file)]
    shape = re.compile(re.escape(pattern).replace(r"\{date\}", "(?P<date>" + DATE.pattern + ")", 1).replace(r"\{date\}", "(?P=date)"))
    files = []
    for file in inbox.glob(_as_glob(pattern)):
        match = shape.fullmatch(file.relative_to(inbox).as_posix())
        if match and file.is_file() and _is_date(match["date"]):
            files.append((match["date"], file))
    return sorted(files)


def strays(catalog: Catalog) -> str:
    """In words, the files of the inbox that no feed asks for, which a run passes over; empty where there are none."""
    inbox = catalog.inbox_path
    asked = {file for feed in catalog.feeds for _date, file in _files(catalog, feed)}
    found = sorted(file for file in inbox.rglob("*") if file.is_file() and file not in asked and not file.name.startswith("."))
    if not found:
        return ""
    places = ", ".join(feed.file for feed in list(catalog.feeds.values())[:SHOWN]) or "nothing, as there is no feed yet; see `endcap feed add`"
    many = "1 file of the inbox belongs" if len(found) == 1 else f"{len(found):,} files of the inbox belong"
    return f"{many} to no feed, {found[0].relative_to(inbox).as_posix()} for one; feeds ask for {places}, where {{date}} is a day such as 2024-01-31"


def _as_glob(pattern: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", pattern).replace("{date}", "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]")


def _is_date(text: str) -> bool:
    try:
        return bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _check_date(asked: str) -> None:
    if not (DATE.fullmatch(asked) and _is_date(asked)):
        raise BadInput(f"{asked!r} is not a date", todo="write it as 2024-01-31")


def _check_delivered(asked: list[str], there: set[str], catalog: Catalog) -> None:
    missing = sorted(set(asked) - there)
    if missing:
        known = ", ".join(sorted(there)) or "none"
        raise BadInput(f"no feed has a delivery of {', '.join(missing)}; there are {known}", where=str(catalog.inbox_path), todo="name one of these dates")
