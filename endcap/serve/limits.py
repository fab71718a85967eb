"""How much one actor may ask: a bucket of requests that fills again, for reads and for writes, and the size of what is sent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

# A reviewer at full speed sends a few writes and reads a second; a program that reads a whole catalog some tens of pages.
READS_A_MINUTE, WRITES_A_MINUTE, SIGN_INS_A_MINUTE = 6000, 1200, 20
MOST_BODY_BYTES = 4 * 1024 * 1024
MOST_ACTORS = 10_000
# A whole body has come by then, or it is refused: one that drips holds a connection for ever.
MOST_BODY_S = 20.0

# Of one who asks, under way together; the rest wait their turn, so that an export does not make others wait.
AT_ONCE, MOST_WAIT_S = 2, 10.0


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


@dataclass
class Limits:
    """Token buckets by actor and kind; a bucket holds a quarter of a minute's requests, and fills evenly."""

    a_minute: dict[str, float] = field(default_factory=lambda: {"read": READS_A_MINUTE, "write": WRITES_A_MINUTE, "sign-in": SIGN_INS_A_MINUTE})
    clock: Callable[[], float] = time.monotonic
    body_s: float = MOST_BODY_S
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turns: WeakValueDictionary[tuple[int, str], asyncio.Semaphore] = field(default_factory=WeakValueDictionary)

    def turns(self, asker: str) -> asyncio.Semaphore:
        """The turns of one who asks, in this event loop; to be held while a request of theirs is under way, and forgotten when none is."""
        key = (id(asyncio.get_running_loop()), asker)
        with self._lock:
            turns = self._turns.get(key)
            if turns is None:
                turns = self._turns[key] = asyncio.Semaphore(AT_ONCE)
            return turns

    def wait_s(self, actor: str, kind: str) -> float:
        """Take one request; 0.0 where it is allowed, else the seconds until the next one is."""
        rate = self.a_minute[kind] / 60
        most = max(1.0, self.a_minute[kind] / 4)
        now = self.clock()
        with self._lock:
            if len(self._buckets) >= MOST_ACTORS:
                self._forget(now)
            bucket = self._buckets.setdefault((actor, kind), _Bucket(most, now))
            bucket.left = min(most, bucket.left + (now - bucket.at) * rate)
            bucket.at = now
            if bucket.left >= 1:
                bucket.left -= 1
                return 0.0
            return (1 - bucket.left) / rate

    def _forget(self, now: float) -> None:
        """Let go of the half that asked least lately; a forgotten bucket is a full one."""
        newest = sorted(self._buckets.items(), key=lambda item: now - item[1].at)
        self._buckets = dict(newest[: MOST_ACTORS // 2])
