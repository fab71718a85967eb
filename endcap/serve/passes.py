"""Whom a token or session stands for, remembered until anything changes: a pass that was ended is refused from the next request on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from endcap.ops import access
from endcap.ops.access import Person
from endcap.ops.home import Home

MOST_REMEMBERED = 10_000


class Passes:
    """Asks the operational database once a pass, and again when it says that something was written to it."""

    def __init__(self, home: Home, clock: Callable[[], float] = time.time) -> None:
        self._home, self._clock = home, clock
        self._known: dict[str, tuple[object, Person, float]] = {}

    def at_once(self, secret: str, kind: str) -> Person | None:
        """The person where that is known for certain without waiting; None else, whoever it is."""
        known = self._known.get(_key(secret, kind))
        if known is None or self._clock() >= known[2]:
            return None
        mark = self._home.changes(at_once=True)
        return known[1] if mark is not None and mark == known[0] else None

    def who(self, secret: str, kind: str) -> Person | None:
        """The person whom the pass stands for now, None where it stands for nobody."""
        mark = self._home.changes(at_once=True)  # asked before looking: what comes in between is looked at twice rather than never
        found = access.who_until(self._home.engine, secret, kind)
        if found is None:
            self._known.pop(_key(secret, kind), None)
            return None
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[_key(secret, kind)] = (mark, *found)
        return found[0]


def _key(secret: str, kind: str) -> str:
    """No secret is kept in memory for longer than its request."""
    return f"{kind} {hashlib.sha256(secret.encode()).hexdigest()}"
