"""Pictures of offers: fetched from where the supplier says, only if they are pictures, and kept in the catalog's home."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from endcap.lake.tables import write_synced
from endcap.ops.fetching import Fetcher, NotFetched
from endcap.ops.raster import kind_of, pixels_of
from endcap.problems import Problem
from endcap.settings import Catalog

MOST_BYTES = 2 * 1024 * 1024
MOST_KEPT_BYTES = 512 * 1024 * 1024
MOST_PIXELS = 40_000_000
FETCH_S = 8.0
FRESH_S = 7 * 86_400.0
# An address that gave no picture is left alone for a while, so that a page of dead ones is not slow each time.
REST_S, MOST_RESTING = 600.0, 10_000
SWEPT_EVERY = 100


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's bytes, what they are by their own beginning, and a tag that changes when they do."""

    kind: str
    body: bytes

    @property
    def tag(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:32]


class Pictures:
    """The pictures of one catalog. Thread-safe; a folder that grows too large loses what was asked for longest ago."""

    def __init__(self, folder: Path, fetcher: Fetcher) -> None:
        self._folder, self._fetcher = folder, fetcher
        self._lock = threading.Lock()
        self._resting: dict[str, float] = {}
        self._kept = 0

    def kept(self, address: str, *, fresh: bool = True) -> Picture | None:
        """The picture of an address where it is kept (and fresh)."""
        file = self._file(address)
        try:
            if fresh and time.time() - file.stat().st_mtime > FRESH_S:
                return None
            body = file.read_bytes()
        except OSError:
            return None
        kind = kind_of(body)
        return Picture(kind, body) if kind else None

    def fetch(self, address: str) -> Picture:
        """The picture of an address, kept or from its server; an older one where the server has none now. Raises Problem."""
        found = self.kept(address)
        if found is not None:
            return found
        if self._rests(address):
            raise NotFetched("the server had no picture there a while ago", where="picture")
        try:
            found = self._fetched(address)
        except Problem:
            self._let_rest(address)
            older = self.kept(address, fresh=False)
            if older is None:
                raise
            return older
        with suppress(Problem):  # a full disk keeps nobody from looking at it
            write_synced(self._file(address), found.body)
            self._sweep()
        return found

    def _fetched(self, address: str) -> Picture:
        answer = self._fetcher.get(address, most_bytes=MOST_BYTES, accept="image/webp, image/png, image/jpeg, image/gif")
        kind = kind_of(answer.body)
        if answer.status != 200 or kind is None:
            raise NotFetched("the server sent no PNG, JPEG, WebP or GIF" if answer.status == 200 else f"the server answered {answer.status}", where="picture")
        pixels = pixels_of(answer.body)
        if pixels is None or pixels > MOST_PIXELS:
            raise NotFetched(f"the picture states no size, or more than {MOST_PIXELS:,} pixels", where="picture")
        return Picture(kind, answer.body)

    def _file(self, address: str) -> Path:
        digest = hashlib.sha256(address.encode()).hexdigest()
        return self._folder / digest[:2] / digest

    def _rests(self, address: str) -> bool:
        with self._lock:
            return self._resting.get(address, 0.0) > time.monotonic()

    def _let_rest(self, address: str) -> None:
        with self._lock:
            if len(self._resting) >= MOST_RESTING:
                self._resting.clear()
            self._resting[address] = time.monotonic() + REST_S

    def _sweep(self) -> None:
        """Now and then, and at the first picture, make room: the oldest files go until a tenth is free."""
        with self._lock:
            self._kept += 1
            if self._kept % SWEPT_EVERY != 1:
                return
        sizes = [(found.stat().st_mtime, found.stat().st_size, found.path) for part in os.scandir(self._folder) if part.is_dir() for found in os.scandir(part)]
        too_much = sum(size for _at, size, _path in sizes) - MOST_KEPT_BYTES
        if too_much <= 0:
            return
        too_much += MOST_KEPT_BYTES // 10
        for _at, size, path in sorted(sizes):
            if too_much <= 0:
                break
            with suppress(OSError):
                Path(path).unlink()
            too_much -= size


def pictures_of(catalog: Catalog, folder: Path) -> Pictures:
    """The pictures kept in a home's folder, fetched where the settings allow it."""
    allowed = [one for one in catalog.allow_outgoing if one.purpose == "pictures"]
    return Pictures(folder / "pictures", Fetcher(allowed, seconds=FETCH_S))
