"""docs/settings.md and the JSON Schema of the settings file, from the settings' own models."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from endcap import settings
from reference.markdown import code, page, plain, sentence_of, table

EXAMPLE = """\
name: my catalog
inbox: inbox                  # deliveries arrive here, e.g. inbox/2026-03-02/acme.csv
home: catalog                 # the lake, models and snapshots are kept here

policy:
  accept: 0.9                 # link without a person from here up
  review: 0.35                # ask a person from here up; below, found a new product

feeds:
  acme:
    file: "{date}/acme.csv"
    format: csv
    options: {encoding: cp1252, delimiter: ";"}
    numbers: {decimal: ",", thousands: "."}
    fields:
      id: ArtNr               # a plain text is a path: here a column
      title: {join: [Brand, Name]}
      brand: Brand
      gtin: EAN
      price: {path: Price, ignore: "(?i)on request"}
      currency: {constant: EUR}
      category: {join: [Group, Subgroup], separator: " > "}
      details: {colour: Colour, size: Size}
    require: [id, title, price]
    guards: {max_drop: 0.2}
"""
TYPE_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}
BOUND_WORDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}", "min_length": "at least {} of them"}


def settings_page() -> str:
    """Every setting: name, type, default, sentence."""
    intro = (
        "A catalog is one folder with the file `endcap.yaml`. Only `feeds` must be given; everything else has a default. "
        "An unknown name is a mistake, and all mistakes of a file are reported at once, before anything changes."
    )
    schema_words = (
        "Editors that know JSON Schema check and complete the file with [endcap.schema.json](endcap.schema.json), "
        "which is also what `endcap.settings.json_schema()` returns."
    )
    parts = [intro, f"```yaml\n{EXAMPLE}```", schema_words]
    for prefix, group in settings_groups().items():
        parts += [f"## {prefix or 'At the top'}", sentence_of(group), setting_table(group)]
    return page("Settings", *parts)


def settings_groups() -> dict[str, type[BaseModel]]:
    """Each group of settings by where it stands in the file, the top first."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[tuple[str, type[BaseModel]]] = [("", settings.Catalog)]
    while waiting:
        prefix, group = waiting.pop(0)
        if group in found.values():
            continue
        found[prefix] = group
        for name, info in group.model_fields.items():
            inner = next(groups_in(info.annotation), None)
            step = f"{prefix}.{name}".strip(".") + (".NAME" if "dict" in str(info.annotation) else "")
            if inner is not None:
                waiting.append(("a source" if inner is settings.Source else step, inner))
    return found


def groups_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Settings groups that an annotation holds, however wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from groups_in(inner)


def setting_table(group: type[BaseModel]) -> str:
    rows = ((code(name), setting_type(info), setting_default(info), plain(info.description or "")) for name, info in group.model_fields.items())
    return table(("setting", "type", "default", "what it does"), rows)


def setting_type(info: FieldInfo) -> str:
    """The type and bounds of a setting in words."""
    bounds = [words.format(getattr(bound, name)) for bound in info.metadata for name, words in BOUND_WORDS.items() if hasattr(bound, name)]
    return ", ".join([type_words(info.annotation), *bounds])


def type_words(annotation: Any) -> str:
    """A Python type in words for people."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(code(json.dumps(value, ensure_ascii=False)) for value in inner)
    if origin is list:
        return f"list of {type_words(inner[0])}"
    if origin is dict:
        return f"{type_words(inner[1])} by name"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_words(one) for one in inner if one is not type(None))
    if origin is not None:
        return type_words(inner[0])
    if annotation is settings.Source:
        return "[source](#a-source)"
    return TYPE_WORDS.get(annotation, "group")


def setting_default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default_factory is not None:
        return "its own defaults"
    return "none" if info.default in (None, [], {}) else code(json.dumps(info.default, ensure_ascii=False))


def settings_schema() -> str:
    """The JSON Schema of the settings file."""
    return json.dumps(settings.json_schema(), indent=2, ensure_ascii=False) + "\n"
