"""The shelf of formats: every one passes the shared checks, no bytes make one fall over, and nothing outside is ever touched."""

import gzip
import io
import socket
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap import checks, shelf
from endcap.feeds.formats import csv as csv_format
from endcap.feeds.formats import xlsx
from endcap.feeds.opening import kind_of, opened
from endcap.feeds.record import BadRecord, Options, Unreadable

FORMATS = shelf.names("formats")


def read_all(component: ModuleType, raw: bytes, options: Options) -> dict[int, dict[str, Any] | str]:
    """Every record of a delivery by position: decoded, or its reason code."""
    found: dict[int, dict[str, Any] | str] = {}
    for chunk in component.split(io.BytesIO(raw), options):
        found |= {cut.position: cut.code for cut in chunk.unreadable}
        for position, record in zip(chunk.positions, chunk.records, strict=True):
            try:
                found[position] = component.decode(record, chunk.header, options)
            except BadRecord as bad:
                found[position] = bad.code
    return found


def test_the_six_formats_are_there() -> None:
    assert FORMATS == ("csv", "json", "jsonl", "parquet", "xlsx", "xml")


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_passes_the_shared_checks(name: str) -> None:
    component = shelf.component("formats", name)
    checks.format_reads_its_cases(component)
    checks.format_refuses_what_is_broken(component)
    checks.format_says_its_options(component)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_says_what_it_and_its_options_are(name: str) -> None:
    component = shelf.component("formats", name)
    assert shelf.words("formats", name).endswith((".", ")"))
    assert all(sentence.endswith((".", ").")) for sentence in component.OPTIONS.values())


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(raw=st.one_of(st.binary(max_size=300), st.text(alphabet='{}[]":,<>/ab1\n\r;\\u', max_size=200).map(str.encode)))
def test_any_bytes_end_in_records_reasons_or_one_refusal(name: str, raw: bytes) -> None:
    try:
        found = read_all(shelf.component("formats", name), raw, {})
    except Unreadable as bad:
        assert bad.code and bad.reason
    else:
        assert sorted(found) == list(range(1, len(found) + 1))


@settings(max_examples=150, deadline=None)
@given(
    cells=st.lists(st.lists(st.text(alphabet='ab",;\n\r \t|\u00e4\u20ac', max_size=6), min_size=3, max_size=3), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16", "utf-16-le"]),
)
def test_csv_written_by_the_book_comes_back_exactly(cells: list[list[str]], delimiter: str, newline: str, encoding: str) -> None:
    quoted = [["a", "b", "c"], *[[cell.replace("\r", "") for cell in row] for row in cells]]
    text = newline.join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in quoted)
    found = read_all(csv_format, text.encode(encoding), {"delimiter": delimiter, "encoding": encoding})
    assert [found[position] for position in sorted(found)] == [dict(zip("abc", row, strict=True)) for row in quoted[1:]]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(alphabet='ab",1\n', max_size=8), max_size=15), st.integers(0, 15))
def test_csv_raw_records_put_together_are_the_file_again(lines: list[str], broken_at: int) -> None:
    """Whatever quotes do, no byte of a record is lost or doubled."""
    lines.insert(min(broken_at, len(lines)), '9,"never closed')
    raw = "a,b\n" + "".join(line + "\n" for line in lines)
    kept = []
    for chunk in csv_format.split(io.BytesIO(raw.encode()), {}):
        pieces = dict(zip(chunk.positions, chunk.records, strict=True)) | {cut.position: cut.raw for cut in chunk.unreadable}
        kept += [pieces[position] for position in sorted(pieces)]
    assert b"".join(kept).replace(b"\n", b"") == "".join(lines).replace("\n", "").encode()


def test_xml_fetches_nothing_and_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("CANARY")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        for declared in (f'[<!ENTITY x SYSTEM "file://{tmp_path}/canary">]', f'[<!ENTITY % p SYSTEM "{address}"> %p;]', f'SYSTEM "{address}"', ""):
            start = f"<!DOCTYPE f {declared}>" if declared else ""
            body = f'<f xmlns:xi="http://www.w3.org/2001/XInclude"><item><id>1</id><xi:include href="file://{tmp_path}/canary" parse="text"/></item></f>'
            try:
                found = read_all(shelf.component("formats", "xml"), (start + body).encode(), {})
            except Unreadable as bad:
                assert declared and bad.code == "document_type"
            else:
                assert not declared and "CANARY" not in repr(found)
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_xlsx_whose_one_cell_is_far_out_is_refused_before_it_is_unfolded() -> None:
    rows = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(xlsx.CASES[0][0])) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, f"<worksheet><sheetData>{rows}</sheetData></worksheet>" if "sheet1" in name else old.read(name))
    with pytest.raises(Unreadable, match="farthest cell"):
        read_all(xlsx, sink.getvalue(), {})


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"id,title\n", "text"),
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"%PDF-1.7", "pdf"),
        (b"\x89PNG\r\n", "image"),
        (b"PK\x03\x04", "zip"),
        (b"PAR1", "parquet"),
        (b'{"error": 1}', "json"),
        (b"\xef\xbb\xbf[1]", "json"),
        (b"<?xml version='1.0'?><rss/>", "xml"),
        (b"\n<!DOCTYPE HTML><p>", "html"),
        (b"<html><head>", "html"),
        (b"<!-- x --><HTML>", "html"),
        ("<rss/>".encode("utf-16"), "xml"),
        (b"\x1f\x8b", "gzip"),
        (b"<htmlfeed><item/>", "xml"),
    ],
)
def test_content_is_known_by_its_first_bytes(head: bytes, kind: str) -> None:
    assert kind_of(head) == kind


def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _read(file: Path, max_mbytes: int = 64) -> bytes:
    with opened(file, frozenset({"text"}), "csv", max_mbytes) as stream:
        return stream.read()


def test_gzip_of_several_members_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.gz"
    file.write_bytes(_packed(b"id,title\n") + _packed(b"1,Mug\n"))
    assert _read(file) == b"id,title\n1,Mug\n"


@pytest.mark.parametrize("cut", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_gzip_cut_short_is_refused_wherever_it_is_cut(tmp_path: Path, cut: float) -> None:
    whole = _packed("".join(f"{n},{n * 7919 % 104729}\n" for n in range(5_000)).encode())
    file = tmp_path / "a.csv.gz"
    file.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(Unreadable) as caught:
        _read(file)
    assert caught.value.code in ("cut_short", "broken_gzip")


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-6] + b"\0\0\0\0" + raw[-2:], lambda raw: raw + b"junk", lambda raw: b"id,title\n1,Mug\n"])
def test_gzip_with_a_wrong_checksum_or_junk_is_refused(tmp_path: Path, spoil) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "a.csv.gz"
    file.write_bytes(spoil(_packed(b"id,title\n1,Mug\n")))
    with pytest.raises(Unreadable, match="broken"):
        _read(file)


def test_a_bomb_stops_at_the_budget(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.gz"
    file.write_bytes(_packed(b"id,title\n" + b"0" * (80 << 20)))
    with pytest.raises(Unreadable, match="unpacks to more than 200 times"):
        _read(file, max_mbytes=4096)
    with pytest.raises(Unreadable, match="larger than 1 MB"):
        _read(file, max_mbytes=1)
