"""Engines run a pure function over record batches, wherever rows are independent of each other.

An engine is a module with `run(function, batches, *, cores) -> iterator of record batches`, in the order of the input.
The function must be importable by name (or a `functools.partial` of one with plain data), take one batch and return one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from endcap import shelf

if TYPE_CHECKING:
    import pyarrow as pa

    BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]


def run(engine: str, function: BatchFunction, batches: Iterable[pa.RecordBatch], *, cores: int = 0) -> Iterator[pa.RecordBatch]:
    """Run `function` over `batches` on the named engine; results come in input order whatever the engine."""
    results: Iterator[pa.RecordBatch] = shelf.component("engines", engine).run(function, batches, cores=cores)
    return results
