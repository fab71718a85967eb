"""The lake: what a manifest pins is what is read; hashes carried on equal hashes from nothing; a dead run leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap import schema
from endcap.lake.tables import Lake, Manifest, full_content, table_of
from endcap.problems import Problem


def events(run: int, *names: str, gone: bool = False, reason: str = "r") -> list[schema.Fact]:
    return [schema.Fact(name, "colour", reason, None, 0.5, None, None, None, "colour@1", None, run, gone) for name in names]


def write(lake: Lake, run: int, rows: list[schema.Fact]) -> Manifest:
    lake.append(schema.Fact, table_of(schema.Fact, rows))
    return lake.pinned(parent=None, run=run, models={}, override_sequence=0)


def test_only_the_newest_row_of_a_key_is_current(tmp_path: Path) -> None:
    first = write(Lake(tmp_path, Manifest()), 1, events(1, "a", "b", "c"))
    second = write(Lake(tmp_path, first), 2, [*events(2, "b", gone=True), *events(2, "c", reason="changed")])
    assert Lake(tmp_path, second).current(schema.Fact, columns="offer_id, value").to_pylist() == [
        {"offer_id": "a", "value": "r"}, {"offer_id": "c", "value": "changed"}
    ]  # fmt: skip
    assert Lake(tmp_path, first).current(schema.Fact).num_rows == 3, "an older manifest still shows what it pinned"


def test_what_a_dead_run_wrote_is_never_seen_and_done_again_gives_the_same(tmp_path: Path) -> None:
    first = write(Lake(tmp_path, Manifest()), 1, events(1, "a"))
    Lake(tmp_path, first).append(schema.Fact, table_of(schema.Fact, events(2, "b")))  # dies before its manifest is made current
    again = Lake(tmp_path, first)
    again.restore()
    assert again.current(schema.Fact).num_rows == 1
    done = write(again, 2, events(2, "b"))
    undisturbed = write(Lake(tmp_path / "other", write(Lake(tmp_path / "other", Manifest()), 1, events(1, "a"))), 2, events(2, "b"))
    assert done.content_hash == undisturbed.content_hash
    from deltalake import DeltaTable

    listed = {Path(uri).name for uri in DeltaTable(tmp_path / "facts").file_uris()}
    assert listed == {entry.name for entry in done.tables["facts"].files}, "the Delta log and the manifest name the same files"


names = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True)


@settings(max_examples=12, deadline=None)
@given(steps=st.lists(st.tuples(names, st.booleans(), st.sampled_from(["x", "y"])), min_size=1, max_size=5))
def test_carried_hashes_equal_hashes_from_nothing(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[list[str], bool, str]]) -> None:
    folder = tmp_path_factory.mktemp("lake")
    manifest = Manifest()
    for run, (keys, gone, reason) in enumerate(steps, start=1):
        manifest = write(Lake(folder, manifest), run, events(run, *keys, gone=gone, reason=reason))
    with Lake(folder, manifest).connect() as con:
        rows, content = full_content(con, schema.Fact)
    pin = manifest.tables["facts"]
    assert (pin.rows, pin.content.strip("0")) == (rows, content.strip("0"))


def test_content_hash_ignores_order_and_history(tmp_path: Path) -> None:
    one = write(Lake(tmp_path / "one", Manifest()), 1, events(1, "a", "b"))
    other = write(Lake(tmp_path / "other", write(Lake(tmp_path / "other", Manifest()), 1, events(1, "b"))), 2, events(2, "a"))
    assert one.content_hash == other.content_hash
    assert one.content_hash != write(Lake(tmp_path / "third", Manifest()), 1, events(1, "a")).content_hash


def test_verify_names_a_changed_and_a_missing_file(tmp_path: Path) -> None:
    lake = Lake(tmp_path, Manifest())
    manifest = write(lake, 1, events(1, "a"))
    assert Lake(tmp_path, manifest).verify() == []
    file = tmp_path / "facts" / manifest.tables["facts"].files[0].name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    (fault,) = Lake(tmp_path, manifest).verify()
    assert "sha256 differs" in fault
    file.unlink()
    (fault,) = Lake(tmp_path, manifest).verify()
    assert "missing" in fault


def test_manifest_round_trip(tmp_path: Path) -> None:
    manifest = write(Lake(tmp_path, Manifest()), 1, events(1, "a"))
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_folder_that_cannot_be_written_ends_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "facts").write_text("in the way")
    with pytest.raises(Problem, match="could not write"):
        write(Lake(tmp_path, Manifest()), 1, events(1, "a"))
