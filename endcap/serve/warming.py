"""What a server does before anybody asks: it opens the current snapshot, reads into memory what is held of it, and loads what matching needs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

from endcap.serve import api_review, asking_match, asking_overview
from endcap.serve.reading import HELD, Reading, Readings

LOG = logging.getLogger("endcap.serve")
PAUSE_S, STEP_S = 0.5, 10.0


def hold(reading: Reading) -> None:
    """Read into memory what is asked by key."""
    for name in HELD:
        reading.held(name)


# In the order in which people who have just opened a page will want it.
STEPS: tuple[Callable[[Reading], object], ...] = (
    hold, api_review.prepare, asking_match.prepare, Reading.settle, asking_overview.overview, api_review.prepare_draws,
)  # fmt: skip


class Warming:
    """Prepares every snapshot that becomes the current one, from beginning to end of a `with` block, in a thread that nobody waits for."""

    def __init__(self, readings: Readings, *, pause_s: float = PAUSE_S) -> None:
        self._readings, self._pause_s = readings, pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="warming", daemon=True)
        self._prepared: Reading | None = None
        self._said: set[str] = set()

    def __enter__(self) -> Warming:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        """End after the step under way: it works in compiled code, which must not be left behind when the process ends."""
        self._stop.set()
        self._thread.join(STEP_S)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                reading = self._readings.current()
                if reading is not self._prepared:
                    self._prepared = reading
                    self._prepare(reading)
            except Exception as error:
                self._say("the current snapshot cannot be opened", error)
            self._stop.wait(self._pause_s)

    def _prepare(self, reading: Reading) -> None:
        for step in STEPS:
            if self._stop.is_set():
                return
            try:
                step(reading)
            except Exception as error:  # whoever asks for it will be told; the other steps are of use without it
                self._say(f"{step.__name__} could not be prepared", error)

    def _say(self, words: str, error: Exception) -> None:
        """Each problem once."""
        told = f"{words}: {error}"
        if told not in self._said:
            self._said.add(told)
            LOG.warning("%s", told)
