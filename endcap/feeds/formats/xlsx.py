"""Excel workbooks: one record a row of one sheet, every cell as text."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import fastexcel
import msgspec
import pyarrow as pa

from endcap.feeds.jsontext import decode_object
from endcap.feeds.record import ASK_AGAIN, CHUNK_RECORDS, Chunk, Header, Options, Unreadable, chunks, text_option, unique_names
from endcap.feeds.values import listed, quoted, shown

OPTIONS: dict[str, str] = {
    "sheet": "The sheet's name, or its number from 1; the first when left out.",
    "header_row": "The row the column names stand in, 1 when left out; rows before it are skipped.",
}
KINDS = frozenset({"zip"})
MAX_CELLS = 30_000_000  # rows x columns up to the farthest cell: readers hold them all
MAX_UNPACKED_BYTES = 2 << 30
MAX_PARTS = 2_000
COLUMN_OF_CELL = re.compile(rb'\br="([A-Z]{1,3})\d')
ROW_OF_CELL = re.compile(rb'\br="[A-Z]{1,3}(\d{1,7})"')
BLOCK_BYTES = 1 << 20


def split(stream: BinaryIO, options: Options) -> Iterator[Chunk]:
    """Each row that is not empty, written out as JSON of text. Holds the sheet in memory.

    Raises Unreadable for a broken workbook, a missing sheet, one whose unpacked size or farthest cell is out of bounds, and an empty one.
    """
    content = stream.read()
    _refuse_bombs(content)
    sheet = _sheet(content, options)
    header_row = int(options.get("header_row", 1))
    if sheet.num_rows < header_row:
        raise Unreadable("empty", "the sheet holds nothing, not even column names", "ask the supplier for the file again, or correct options.sheet")
    names = [str(column[header_row - 1].as_py() or "") for column in sheet.columns]
    columns = unique_names(names)
    yield from chunks(Header(columns, msgspec.json.encode(names)), _rows(sheet.slice(header_row), columns))


def decode(raw: bytes, header: Header, options: Options) -> dict[str, Any]:
    """One row as text by column."""
    return decode_object(raw)


def _refuse_bombs(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
                raise Unreadable("too_large", "the workbook unpacks to more than it may", ASK_AGAIN)
            for part in parts:
                if part.filename.startswith("xl/worksheets/"):
                    _refuse_far_cells(archive, part)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise Unreadable("broken_workbook", f"it is not a whole Excel workbook: {shown(str(error), 120)}", ASK_AGAIN) from None


def _refuse_far_cells(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """One cell far out makes a reader allocate every cell before it."""
    last_row = last_column = 0
    with archive.open(part) as stream:
        rest = b""
        while block := stream.read(BLOCK_BYTES):
            text = rest + block
            last_column = max(last_column, *map(_column_number, set(COLUMN_OF_CELL.findall(text))), 0)
            last_row = max(last_row, *map(int, set(ROW_OF_CELL.findall(text))), 0)
            rest = text[-200:]
    if last_row * last_column > MAX_CELLS:
        raise Unreadable("too_large", f"its farthest cell spans {last_row:,} rows by {last_column:,} columns", ASK_AGAIN)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _sheet(content: bytes, options: Options) -> pa.RecordBatch:
    try:
        book = fastexcel.read_excel(content)
        given = text_option(options, "sheet", "1")
        if given not in book.sheet_names and not (given.isdecimal() and 1 <= int(given) <= len(book.sheet_names)):
            raise Unreadable("no_sheet", f"it has no sheet {quoted(given)}, only {listed(book.sheet_names)}", "correct options.sheet")
        which: str | int = given if given in book.sheet_names else int(given) - 1
        return book.load_sheet(which, header_row=None, skip_rows=0, dtypes="string").to_arrow()
    except fastexcel.FastExcelError as error:
        raise Unreadable("broken_workbook", f"it is not a whole Excel workbook: {shown(str(error), 120)}", ASK_AGAIN) from None


def _rows(sheet: pa.RecordBatch, columns: tuple[str, ...]) -> Iterator[bytes]:
    for start in range(0, sheet.num_rows, CHUNK_RECORDS):
        lists = [column.to_pylist() for column in sheet.slice(start, CHUNK_RECORDS).columns]
        for row in zip(*lists, strict=True):
            if any(row):
                yield msgspec.json.encode(dict(zip(columns, row, strict=True)))


def _sample(*rows: tuple[str | float | None, ...]) -> bytes:
    """A workbook with one sheet, as small as Excel's format allows."""

    def cell(row: int, column: int, value: str | float | None) -> str:
        where = f'r="{chr(65 + column)}{row}"'
        if isinstance(value, str):
            return f'<c {where} t="inlineStr"><is><t>{value}</t></is></c>'
        return "" if value is None else f"<c {where}><v>{value!r}</v></c>"

    lines = "".join(f'<row r="{n}">' + "".join(cell(n, m, value) for m, value in enumerate(row)) + "</row>" for n, row in enumerate(rows, 1))
    main, office = "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="a" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Offers" sheetId="1" r:id="b"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="b" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
    }
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return sink.getvalue()


CASES: list[tuple[bytes, Options, list[dict[str, Any] | str]]] = [
    (
        _sample(("id", "gtin", "price"), ("007", 4058172178481.0, 9.9), (None, None, None), ("x", 12.0, None)),
        {},
        [{"id": "007", "gtin": "4058172178481", "price": "9.9"}, {"id": "x", "gtin": "12", "price": None}],
    ),
    (_sample(("Price list",), ("id", "title"), ("1", "Mug")), {"header_row": 2, "sheet": "Offers"}, [{"id": "1", "title": "Mug"}]),
]
BROKEN: list[tuple[bytes, Options, str]] = [
    (b"PK\x03\x04 and then nothing", {}, "broken_workbook"),
    (_sample(("id",)), {"sheet": "Prices"}, "no_sheet"),
    (_sample(), {}, "empty"),
]
