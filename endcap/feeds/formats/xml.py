"""XML: one element a record (Google Merchant, Heureka and the like); paths by local names, attributes as '@name'."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import etree

from endcap.feeds.record import ASK_AGAIN, BadRecord, Chunk, Cut, Header, Options, Unreadable, chunks, text_option
from endcap.feeds.values import quoted, shown

OPTIONS: dict[str, str] = {
    "record": "The local name of the element that is one record, 'item' when left out ('entry', 'SHOPITEM', 'product' ...).",
}
KINDS = frozenset({"xml"})
MAX_ELEMENTS = 20_000  # in one record
MAX_ATTRIBUTES = 1_000  # of one element
SURELY_SMALL_BYTES = 5_000  # less than any record with MAX_ATTRIBUTES takes
TEXT = "#text"
# No entity is resolved, nothing is fetched, and libxml2's own caps on depth and text stay on.
SAFE: dict[str, Any] = {"resolve_entities": False, "no_network": True, "huge_tree": False, "load_dtd": False, "dtd_validation": False}


def split(stream: BinaryIO, options: Options) -> Iterator[Chunk]:
    """Cut the document into its record elements, each written out by itself as UTF-8. Memory is bounded by one chunk.

    Raises Unreadable for a document type (entities, external files), for XML that is broken or cut short, and without any record.
    """
    return chunks(Header(), _elements(stream, text_option(options, "record", "item")))


def decode(raw: bytes, header: Header, options: Options) -> dict[str, Any]:
    """One element as nested text: children by local name, a repeated one as a list, attributes as '@name', mixed text as '#text'."""
    try:
        element = etree.fromstring(raw, etree.XMLParser(remove_comments=True, remove_pis=True, **SAFE))
    except etree.XMLSyntaxError as error:
        raise BadRecord("bad_xml", f"the record is not XML: {shown(error.msg, 120)}") from None
    content = _content(element)
    return content if isinstance(content, dict) else {TEXT: content}


def _elements(stream: BinaryIO, name: str) -> Iterator[bytes | Cut]:
    found = False
    try:
        for _, element in etree.iterparse(stream, events=("end",), tag=("{*}" + name, name), remove_comments=True, remove_pis=True, **SAFE):
            if not found:
                _refuse_document_type(element.getroottree().docinfo)
                found = True
            if not _inside_record(element, name):
                yield _cut(element)
                _forget(element)
    except etree.XMLSyntaxError as error:
        raise Unreadable("broken_xml", f"it is not whole, well-formed XML: {shown(error.msg, 120)}", ASK_AGAIN) from None
    except LookupError as error:
        raise Unreadable("bad_encoding", f"its declared encoding is unknown: {shown(str(error), 120)}", ASK_AGAIN) from None
    if not found:
        raise Unreadable("no_records", f"it holds no element {quoted(name)}", "name the element of one record in options.record")


def _refuse_document_type(document: Any) -> None:
    if document.doctype or document.internalDTD is not None:
        raise Unreadable("document_type", "it declares a document type (DOCTYPE), which is never read", "ask the supplier for a file without it")


def _inside_record(element: Any, name: str) -> bool:
    return any(etree.QName(parent).localname == name for parent in element.iterancestors())


def _cut(element: Any) -> bytes | Cut:
    raw: bytes = etree.tostring(element, encoding="utf-8", with_tail=False)
    if len(raw) < SURELY_SMALL_BYTES:
        return raw
    for count, part in enumerate(element.iter(), 1):
        if count > MAX_ELEMENTS or len(part.attrib) > MAX_ATTRIBUTES:
            said = f"the record has more than {MAX_ELEMENTS:,} elements or {MAX_ATTRIBUTES:,} attributes; only its start is kept"
            return Cut(0, raw[:10_000], "too_large", said)
    return raw


def _forget(element: Any) -> None:
    """Free the element and what stands before it, so that memory does not grow with the file."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _content(element: Any) -> Any:
    result: dict[str, Any] = {f"@{_local(name)}": value for name, value in element.attrib.items()} if element.attrib else {}
    text = element.text or ""
    for child in element:
        if child.tag is etree.Entity:
            raise BadRecord("entity", f"the record uses the entity {quoted(child.text)}, which is not resolved")
        _add(result, _local(child.tag), _content(child))
        text += child.tail or ""
    text = text.strip()
    if not result:
        return text or None
    if text:
        result[TEXT] = text
    return result


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _add(result: dict[str, Any], name: str, content: Any) -> None:
    if name not in result:
        result[name] = content
    elif isinstance(result[name], list):
        result[name].append(content)
    else:
        result[name] = [result[name], content]


CASES: list[tuple[bytes, Options, list[dict[str, Any] | str]]] = [
    (b"<rss><channel><item><id>1</id><title>A &amp; B</title></item></channel></rss>", {}, [{"id": "1", "title": "A & B"}]),
    (
        b'<f xmlns="urn:a" xmlns:g="urn:g"><entry><g:id>1</g:id><g:price currency="EUR">9.90</g:price><i>a</i><i>b</i><e/></entry></f>',
        {"record": "entry"},
        [{"id": "1", "price": {"@currency": "EUR", "#text": "9.90"}, "i": ["a", "b"], "e": None}],
    ),
    (b"<f><item><d><![CDATA[<b>x</b>]]></d><!-- no --></item></f>", {}, [{"d": "<b>x</b>"}]),
    (b"<?xml version='1.0' encoding='iso-8859-1'?><f><item><t>\xe4</t></item></f>", {}, [{"t": "ä"}]),
    (b"<f><item>" + b"<x/>" * 20_001 + b"</item><item><id>2</id></item></f>", {}, ["too_large", {"id": "2"}]),
]
BROKEN: list[tuple[bytes, Options, str]] = [
    (b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/hostname">]><f><item><t>&x;</t></item></f>', {}, "document_type"),
    (b'<!DOCTYPE f SYSTEM "http://127.0.0.1/x.dtd"><f><item/></f>', {}, "document_type"),
    (b"<f><item><t>1</t></item><item>", {}, "broken_xml"),
    (b"<f><product/></f>", {}, "no_records"),
    (b"<f><item>" + b"<d>" * 300 + b"</d>" * 300 + b"</item></f>", {}, "broken_xml"),
]
