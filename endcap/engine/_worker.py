"""A worker of the local engine: reads Arrow batches from stdin, answers on stdout, ends when stdin does.

A message is a length (8 bytes, big-endian) and that many bytes. Requests: a JSON call (function's name and plain keywords), then a
batch as an Arrow IPC stream. Answers: one status byte ('k' or 'e'), then a batch or the error as JSON. Nothing is pickled.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from functools import cache, partial
from typing import IO, Any

import pyarrow as pa

from endcap import problems

OK, ERROR = b"k", b"e"


def send(stream: IO[bytes], *parts: bytes) -> None:
    """Write one message."""
    stream.write(sum(len(part) for part in parts).to_bytes(8, "big"))
    for part in parts:
        stream.write(part)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read one message; None at the end of the stream or where it was cut short."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    length = int.from_bytes(head, "big")
    body = stream.read(length)
    return body if len(body) == length else None


def to_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def from_bytes(data: bytes) -> pa.RecordBatch:
    return pa.ipc.open_stream(data).read_next_batch()


def error_to_bytes(error: Exception) -> bytes:
    """A Problem keeps its kind and parts; any other error its name and text."""
    if isinstance(error, problems.Problem):
        return json.dumps({"problem": type(error).__name__, "what": error.what, "where": error.where, "todo": error.todo}).encode()
    return json.dumps({"error": f"{type(error).__name__}: {error}"}).encode()


def error_from_bytes(data: bytes) -> Exception:
    given: dict[str, Any] = json.loads(data)
    if "problem" in given:
        kind = {"BadInput": problems.BadInput, "Held": problems.Held}.get(given["problem"], problems.Problem)
        return kind(given["what"], where=given["where"], todo=given["todo"])
    return RuntimeError(f"a worker failed: {given['error']}")


def main() -> None:
    """Serve calls until stdin ends. What a function prints goes to stderr, never into the answers."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while (call := receive(requests)) is not None and (data := receive(requests)) is not None:
        try:
            send(answers, OK, to_bytes(_function(call.decode())(from_bytes(data))))
        except Exception as error:  # whatever a function raises is the caller's to see
            send(answers, ERROR, error_to_bytes(error))


@cache
def _function(call: str) -> Any:
    given = json.loads(call)
    return partial(getattr(importlib.import_module(given["module"]), given["name"]), **given["keywords"])


if __name__ == "__main__":
    main()
