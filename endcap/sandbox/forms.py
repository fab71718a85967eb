"""Writers of the six formats: each takes rows one by one, keeps none, and gives the same bytes for the same rows."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq

from endcap.sandbox.suppliers import Supplier

ROW_GROUP_ROWS = 4_000
BUFFER_BYTES = 1 << 16
XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
GOOGLE = 'xmlns:g="http://base.google.com/ns/1.0"'
EPOCH = (1980, 1, 1, 0, 0, 0)


class Form(Protocol):
    """A delivery being written. `encode` depends on the supplier only, so a row may be written to several days' files."""

    def write(self, row: Any) -> None: ...
    def close(self) -> None: ...


def encoder(supplier: Supplier) -> Callable[[Mapping[str, str]], Any]:
    """The function that turns an offer's texts into a row of the supplier's format."""
    makers = {"csv": _csv_encoder, "json": _json_encoder, "jsonl": _json_encoder, "xml": _xml_encoder, "xlsx": _xlsx_encoder, "parquet": _parquet_encoder}
    return makers[supplier.form](supplier)


def form(supplier: Supplier, file: Path, date: str, renamed: Mapping[str, str]) -> Form:
    """Open a delivery for writing; `renamed` gives columns other names (an incident)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if supplier.form == "parquet":
        return ParquetForm(supplier, file)
    if supplier.form == "xlsx":
        return XlsxForm(supplier, file, date)
    return TextForm(file, *_frame(supplier, date, renamed))


class TextForm:
    """Text between a head and a foot, gzipped by the file's name."""

    def __init__(self, file: Path, head: bytes, between: bytes, foot: bytes) -> None:
        self._raw = file.open("wb")
        # Name and time are left out of the gzip header: the same seed gives the same bytes.
        self._stream: Any = gzip.GzipFile("", "wb", 4, self._raw, mtime=0) if file.suffix == ".gz" else self._raw
        self._between, self._foot = between, foot
        self._buffer, self._size = [head], 0
        self._first = True

    def write(self, row: bytes) -> None:
        if self._first:
            self._first = False
        else:
            self._buffer.append(self._between)
        self._buffer.append(row)
        self._size += len(row)
        if self._size > BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._stream.write(b"".join(self._buffer))
        self._buffer, self._size = [], 0

    def close(self) -> None:
        self._buffer.append(self._foot)
        self._flush()
        if self._stream is not self._raw:
            self._stream.close()
        self._raw.close()


class ParquetForm:
    """Columns gathered up to a row group; page checksums on."""

    def __init__(self, supplier: Supplier, file: Path) -> None:
        self._schema = pa.schema([(path, _parquet_type(source)) for path, source in supplier.columns])
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd", write_page_checksum=True)
        self._rows: list[tuple[Any, ...]] = []

    def write(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True) if self._rows else [()] * len(self._schema)
        self._writer.write_table(pa.table([pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)], schema=self._schema))
        self._rows = []

    def close(self) -> None:
        self._flush()
        self._writer.close()


class XlsxForm:
    """A workbook of one sheet, written as a stream with the texts inside the cells; two lines of words before the header."""

    def __init__(self, supplier: Supplier, file: Path, date: str) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=4)
        sheet = str(supplier.options["sheet"])
        for name, text in XLSX_PARTS.items():
            self._zip.writestr(zipfile.ZipInfo(name, EPOCH), text.replace("SHEET", sheet), zipfile.ZIP_DEFLATED)
        info = zipfile.ZipInfo("xl/worksheets/sheet1.xml", EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        self._stream = self._zip.open(info, "w")
        head = ["".join(map(_text_cell, row)) for row in ((f"Preisliste {supplier.name}",), (f"Stand {date}",), tuple(path for path, _ in supplier.columns))]
        self._buffer = io.BytesIO()
        self._buffer.write(XLSX_HEAD.encode())
        for cells in head:
            self.write(f"<row>{cells}</row>".encode())

    def write(self, row: bytes) -> None:
        self._buffer.write(row)
        if self._buffer.tell() > BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._stream.write(self._buffer.getvalue())
        self._buffer = io.BytesIO()

    def close(self) -> None:
        self._buffer.write(b"</sheetData></worksheet>")
        self._flush()
        self._stream.close()
        self._zip.close()


def _frame(supplier: Supplier, date: str, renamed: Mapping[str, str]) -> tuple[bytes, bytes, bytes]:
    """What stands before, between and after the rows of a text format."""
    if supplier.form == "csv":
        mark = supplier.delimiter
        header = mark.join(_quoted(renamed.get(path, path), mark) for path, _ in supplier.columns)
        return (header + "\r\n").encode(str(supplier.options["encoding"])), b"", b""
    if supplier.form == "jsonl":
        return b"", b"\n", b"\n"
    if supplier.form == "json":
        steps = str(supplier.options["records"]).split(".")
        head = f'{{"generated":"{date}",' + "{".join(f'"{step}":' for step in steps) + "[\n"
        return head.encode(), b",\n", ("\n]" + "}" * len(steps) + "\n").encode()
    if supplier.options["record"] == "entry":
        head = f'{XML_HEAD}<feed xmlns="http://www.w3.org/2005/Atom" {GOOGLE}>\n<title>{supplier.name}</title>\n<updated>{date}T03:00:00Z</updated>\n'
        return head.encode(), b"", b"</feed>\n"
    head = f'{XML_HEAD}<rss version="2.0" {GOOGLE}>\n<channel>\n<title>{supplier.name}</title>\n'
    return head.encode(), b"", b"</channel>\n</rss>\n"


def _quoted(text: str, mark: str) -> str:
    return '"' + text.replace('"', '""') + '"' if mark in text or '"' in text or "\n" in text else text


def _csv_encoder(supplier: Supplier) -> Callable[[Mapping[str, str]], bytes]:
    mark, encoding = supplier.delimiter, str(supplier.options["encoding"])
    sources = [source for _, source in supplier.columns]

    def encode(texts: Mapping[str, str]) -> bytes:
        row = mark.join([_quoted(texts[source], mark) for source in sources])
        return f"{row}\r\n".encode(encoding, errors="replace")

    return encode


def _json_encoder(supplier: Supplier) -> Callable[[Mapping[str, str]], bytes]:
    record: dict[str, Any] = {}
    for place, (path, _source) in enumerate(supplier.columns):
        *parents, leaf = path.split(".")
        inner = record
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = f"@{place}@"
    template = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    literals: list[str] = []
    for place in range(len(supplier.columns)):
        before, template = template.split(f'"@{place}@"', 1)
        literals.append(before)
    values = [_json_value(source, supplier) for _, source in supplier.columns]
    sources = [source for _, source in supplier.columns]
    parts = list(zip(literals, values, sources, strict=True))

    def encode(texts: Mapping[str, str]) -> bytes:
        return ("".join([literal + value(texts[source]) for literal, value, source in parts]) + template).encode()

    return encode


def _json_value(source: str, supplier: Supplier) -> Callable[[str], str]:
    quote = json.encoder.encode_basestring
    if source in ("category_list", "image_list", "available") or (source == "price" and supplier.price_form in ("number", "cents")):
        return lambda text: text or "null"
    return lambda text: quote(text) if text else "null"


def _xml_encoder(supplier: Supplier) -> Callable[[Mapping[str, str]], bytes]:
    parts = [(f"  <{path}>", f"</{path}>\n", source) for path, source in supplier.columns]
    record = supplier.options["record"]

    def encode(texts: Mapping[str, str]) -> bytes:
        inner = "".join([f"{start}{escape(texts[source])}{end}" for start, end, source in parts if texts[source]])
        return f"<{record}>\n{inner}</{record}>\n".encode()

    return encode


def _text_cell(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>'


def _xlsx_encoder(supplier: Supplier) -> Callable[[Mapping[str, str]], bytes]:
    sources = [source for _, source in supplier.columns]

    def cell(source: str, text: str) -> str:
        # Excel keeps GTINs and prices as numbers, which is how leading zeros get lost.
        if source in ("gtin", "price", "id") and text.replace(".", "", 1).replace("-", "", 1).isdigit():
            return f"<c><v>{text}</v></c>"
        return _text_cell(text) if text else "<c/>"

    def encode(texts: Mapping[str, str]) -> bytes:
        return f"<row>{''.join([cell(source, texts[source]) for source in sources])}</row>".encode()

    return encode


def _parquet_type(source: str) -> pa.DataType:
    return pa.float64() if source == "price" else pa.bool_() if source == "available" else pa.string()


def _parquet_encoder(supplier: Supplier) -> Callable[[Mapping[str, str]], tuple[Any, ...]]:
    sources = [source for _, source in supplier.columns]

    def value(source: str, text: str) -> Any:
        if not text:
            return None
        return float(text) if source == "price" else text == "true" if source == "available" else text

    def encode(texts: Mapping[str, str]) -> tuple[Any, ...]:
        return tuple([value(source, texts[source]) for source in sources])

    return encode


_SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
XLSX_HEAD = f'<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="{_SPREADSHEET}"><sheetData>'
XLSX_PARTS: dict[str, str] = {
    "[Content_Types].xml": (
        f'<?xml version="1.0" encoding="UTF-8"?><Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<?xml version="1.0" encoding="UTF-8"?><workbook xmlns="{_SPREADSHEET}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="SHEET" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}
