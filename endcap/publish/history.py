"""Looking back at published snapshots: what changed between two, and whether one is still as it was published."""

from __future__ import annotations

from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.publish.diff import Diff, diff_products
from endcap.publish.folder import read_products, verify
from endcap.publish.products import redirects


def snapshot_id_for(home: Home, beginning: str | None) -> str:
    """The whole id of a snapshot named by its unique beginning, or of the current one. Raises BadInput when there is none."""
    row = home.snapshot(beginning)
    if row is None:
        what = f"there is no single snapshot {beginning!r}" if beginning else "there is no snapshot yet"
        raise BadInput(what, where=str(home.path), todo="see `endcap snapshot list`" if beginning else "run `endcap run` first")
    return str(row["snapshot_id"])


def diff_snapshots(home: Home, old: str, new: str) -> Diff:
    """What changed in the published products from one snapshot to another. Raises BadInput when one is not there."""
    old_id, new_id = snapshot_id_for(home, old), snapshot_id_for(home, new)
    with home.connect(new_id) as con:
        led = redirects(con)
    return diff_products(read_products(home.published_folder / old_id), read_products(home.published_folder / new_id), led)


def verify_snapshot(home: Home, beginning: str | None = None) -> tuple[str, int, list[str]]:
    """The snapshot's id, how many files were compared with their sha256, and one sentence per fault."""
    snapshot_id = snapshot_id_for(home, beginning)
    lake = home.lake(snapshot_id)
    files = sum(len(pin.files) for pin in lake.manifest.tables.values())
    folder = home.published_folder / snapshot_id
    published = len([path for path in folder.iterdir() if path.is_file()]) if folder.is_dir() else 0
    return snapshot_id, files + published, lake.verify() + verify(folder)
