"""docs/tables.md, from the row types and operational tables with the comments beside their columns."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from endcap import schema
from endcap.ops import tables as operational
from reference.markdown import code, page, plain, sentence_of, table


def tables_page() -> str:
    """Every noun with its lake table, and every operational table: sentence, writer, key, columns."""
    parts = ["## The lake", plain((inspect.getdoc(schema) or "").partition("\n\n")[2])]
    for noun in schema.NOUNS:
        key = ", ".join(code(column) for column in noun.KEY)
        parts += [f"### {noun.__name__}", sentence_of(noun), f"Table {code(noun.TABLE)}, written by {code(noun.WRITER)}, key {key}.", noun_columns(noun)]
        if noun is schema.Product:
            parts += [f"### {schema.Value.__name__}", f"{sentence_of(schema.Value)} Not a table: what the column `values` holds.", noun_columns(schema.Value)]
    parts += ["## The operational database", sentence_of(operational)]
    comments = comments_by_line(inspect.getsource(operational))
    for call in operational_calls():
        parts += operational_table(call, comments)
    return page("Tables", *parts)


def noun_columns(noun: type[Any]) -> str:
    """The columns of a row type: name, Arrow type, the comment beside it."""
    source = inspect.getsource(noun)
    comments = comments_by_line(source)
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    lines = {node.target.id: node.lineno for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    fields = schema.arrow_schema(noun)
    return table(("column", "type", "meaning"), ((code(one.name), arrow_words(one), plain(comments.get(lines[one.name], ""))) for one in fields))


def arrow_words(field: pa.Field) -> str:
    """An Arrow field's type, short, and whether it may be empty."""
    kind = f"list of {'Value' if pa.types.is_struct(field.type.value_type) else field.type.value_type}" if pa.types.is_list(field.type) else str(field.type)
    return kind + (", may be empty" if field.nullable else "")


def comments_by_line(source: str) -> dict[int, str]:
    """Comments of a source text by line; a remark to a tool is none."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {one.start[0]: one.string.lstrip("# ") for one in tokens if one.type == tokenize.COMMENT and "fmt:" not in one.string}


def operational_calls() -> Iterator[ast.Assign]:
    """The statements that define the operational tables."""
    for node in ast.parse(inspect.getsource(operational)).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id == "_table":
            yield node


def operational_table(call: ast.Assign, comments: dict[int, str]) -> Iterator[str]:
    """The parts of one operational table; the comment above it is its sentence."""
    assert isinstance(call.value, ast.Call)
    named = call.targets[0]
    assert isinstance(named, ast.Name)
    found = getattr(operational, named.id)
    lines = {ast.literal_eval(one.args[0]): one.end_lineno or one.lineno for one in call.value.args if isinstance(one, ast.Call)}
    key = ", ".join(code(column.name) for column in found.primary_key)
    yield f"### {found.name}"
    yield plain(comments.get(call.lineno - 1, ""))
    yield f"Table {code(found.name)}, written by {code(found.info['writer'])}, key {key}."
    rows = ((code(column.name), f"{column.type}".lower() + (", may be empty" if column.nullable else ""), lines[column.name]) for column in found.columns)
    yield table(("column", "type", "meaning"), ((name, kind, plain(comments.get(line, ""))) for name, kind, line in rows))
