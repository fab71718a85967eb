"""Watching what was promoted while the server serves: one thread that takes a bad artefact out of force and restores what was before."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from endcap.ops.home import Home
from endcap.problems import Problem

LOG = logging.getLogger("endcap.serve")
PAUSE_S = 20.0


class Watching:
    """Looks from beginning to end of a `with` block; what has arrived meanwhile waits for the next `endcap run`."""

    def __init__(self, home: Home, *, pause_s: float = PAUSE_S) -> None:
        self._home, self._pause_s = home, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watching", daemon=True)
        self._owed = False  # a restoring run that another one kept from beginning
        self._seen: object = None

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """A restoring run under way is finished by the next `endcap run` if it cannot end in time."""
        self._stop.set()
        self._thread.join(1)

    def _work(self) -> None:
        while not self._stop.wait(self._pause_s):
            try:
                # Nothing can break a promise while nobody writes anything.
                changes = self._home.changes()
                if changes != self._seen or self._owed:
                    self.look()
                self._seen = changes
            except Problem as problem:
                LOG.warning("what was promoted could not be watched: %s", problem)
            except Exception:
                LOG.exception("what was promoted could not be watched")

    def look(self) -> bool:
        """Look once; True where something was taken out of force."""
        from endcap import flow
        from endcap.govern.promotion import watch

        breach = watch(self._home)
        if breach is not None:
            LOG.warning("the %s %s is taken out of force: %s", breach.kind, breach.artefact, breach.words)
            self._owed = True
        if self._owed and not self._home.is_being_written():
            started = time.monotonic()
            flow.run(self._home.catalog, deliveries=False)
            self._owed = False
            LOG.warning("what was before is served again, %.1f s later", time.monotonic() - started)
        return breach is not None
