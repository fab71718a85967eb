"""Publishing a snapshot: its products in every target's form, with redirects and the difference from its parent.

A snapshot's folder appears whole, by one rename, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from endcap.publish.diff import Diff
    from endcap.publish.folder import Published


def publish(con: duckdb.DuckDBPyConnection, folder: Path, targets: Sequence[str], snapshot_id: str, parent_folder: Path | None) -> Published:
    """Write one snapshot's published files into `folder`; done again it changes nothing.

    In: `con` over the lake's tables at that snapshot, names from the targets shelf, and the folder published before (None
    for the first). Out: the files with their sha256, the difference counts and the redirects. Raises BadInput for an
    unknown target, or when the parent's files are not those that were published.
    """
    from endcap.publish import folder as folders

    return folders.write(con, folder, targets, snapshot_id, parent_folder)


def diff_products(old: pa.Table | None, new: pa.Table, redirects: pa.Table | None = None) -> Diff:
    """What changed from one published table of products to the next; `redirects` tells merged ids from removed ones."""
    from endcap.publish import diff

    return diff.diff_products(old, new, redirects)
