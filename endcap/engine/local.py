"""One machine: in this process for a few batches, else one worker process a core with a bounded number of batches in flight."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from queue import SimpleQueue
from typing import Any

import pyarrow as pa

from endcap.engine._worker import OK, error_from_bytes, from_bytes, receive, send, to_bytes
from endcap.problems import Problem

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]
# A worker costs about a second of imports: below this many batches that is more than it saves.
WORTH_WORKERS = 4


def run(function: BatchFunction, batches: Iterable[pa.RecordBatch], *, cores: int = 0) -> Iterator[pa.RecordBatch]:
    """Yield `function(batch)` for each batch in input order; at most two batches a core are in memory at once.

    `function` is a module's function, or a `functools.partial` of one with keywords that JSON can hold.
    """
    workers = cores or os.cpu_count() or 1
    stream = iter(batches)
    first = list(itertools.islice(stream, WORTH_WORKERS))
    if workers == 1 or len(first) < WORTH_WORKERS:
        yield from map(function, itertools.chain(first, stream))
        return
    call = json.dumps(_named(function), sort_keys=True).encode()
    waiting: deque[Future[pa.RecordBatch]] = deque()
    crew = _crew(workers)
    for batch in itertools.chain(first, stream):
        waiting.append(crew.submit(call, batch))
        if len(waiting) >= 2 * workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _named(function: Any) -> dict[str, Any]:
    keywords: dict[str, Any] = {}
    while isinstance(function, partial):
        if function.args:
            raise TypeError("a function for an engine is given its data by keywords")
        keywords = {**function.keywords, **keywords}
        function = function.func
    return {"module": function.__module__, "name": function.__qualname__, "keywords": keywords}


class _Crew:
    """Worker processes, each served by one thread; they end when this process does, however it ends."""

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._free: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        self._started: list[subprocess.Popen[bytes]] = []
        for _number in range(workers):
            self._free.put(None)

    def submit(self, call: bytes, batch: pa.RecordBatch) -> Future[pa.RecordBatch]:
        return self._threads.submit(self._ask, call, batch)

    def close(self) -> None:
        """End the workers and wait for them, so that their time is counted with this process's."""
        for worker in self._started:
            if worker.stdin is not None:
                worker.stdin.close()
            worker.wait()
        self._threads.shutdown()

    def _ask(self, call: bytes, batch: pa.RecordBatch) -> pa.RecordBatch:
        worker = self._free.get() or self._start()
        assert worker.stdin is not None and worker.stdout is not None
        try:
            send(worker.stdin, call)
            send(worker.stdin, to_bytes(batch))
            answer = receive(worker.stdout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            self._free.put(None)
            raise Problem(f"a worker process ended (exit code {worker.wait()})", where="engine local", todo="free memory or lower `batch_rows`, then run again")
        self._free.put(worker)
        if answer[:1] != OK:
            raise error_from_bytes(answer[1:])
        return from_bytes(answer[1:])

    def _start(self) -> subprocess.Popen[bytes]:
        # In a group of its own: Ctrl-C is for the one who called, at whose end the workers' input ends.
        command = [sys.executable, "-m", "endcap.engine._worker"]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)
        self._started.append(worker)
        return worker


@cache
def _crew(workers: int) -> _Crew:
    crew = _Crew(workers)
    atexit.register(crew.close)
    return crew
