"""Telling receivers of webhooks while the server serves: one thread that stops when it is told to."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from endcap.ops.home import Home
from endcap.ops.webhooks import TRY_S, send_due

LOG = logging.getLogger("endcap.serve")
PAUSE_S, MOST_A_ROUND = 2.0, 50


class Telling:
    """Sends what is due from beginning to end of a `with` block; nothing is started where the settings name no receiver."""

    def __init__(self, home: Home, *, pause_s: float = PAUSE_S) -> None:
        self._home, self._pause_s = home, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
        self._said: set[str] = set()

    def __enter__(self) -> Telling:
        if self._home.catalog.webhooks:
            self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """End after the try under way; a delivery whose answer nobody waited for is sent again later, with the same id."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(TRY_S + 1)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                sending = send_due(self._home, limit=MOST_A_ROUND, stopped=self._stop.is_set)
                self._say(sending.problems)
            except Exception:
                LOG.exception("webhooks could not be sent; they wait in the outbox")
            self._stop.wait(self._pause_s)

    def _say(self, problems: list[str]) -> None:
        """Each problem once."""
        for problem in problems:
            if problem not in self._said:
                self._said.add(problem)
                LOG.warning("webhooks wait: %s", problem)
