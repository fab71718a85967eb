"""docs/shelves.md, from the shelves, their components and their checks."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from types import ModuleType

from endcap import checks, shelf
from reference.markdown import code, page, plain, prose, sentence_line, sentence_of, table

HOW_TO_ADD = """\
A shelf is a folder whose every file is one component of the same kind. `endcap shelves` lists them all.

**To add one of your own here**, write one new file in the shelf's folder; its first docstring line is its one sentence for people.
No list and no other file is edited. Then run the checks that every component of its kind must pass:

```sh
endcap shelves
endcap check formats:csv
```

**To add one from a package of your own**, name your module in an entry point whose group is the shelf's package, in your `pyproject.toml`:

```toml
[project.entry-points."endcap.feeds.formats"]
edifact = "acme_endcap.edifact"
```

Once your package is installed beside endcap, it is found like a built-in one, and `endcap check formats:edifact` runs the same checks on it."""
DIRECTIONS = {1: "for the same product", -1: "against it", 0: "it depends"}


def shelves_page() -> str:
    """Every shelf: what a component must have, what is checked, and the components with their particulars."""
    parts = [HOW_TO_ADD]
    for name, package in shelf.SHELVES.items():
        first, _empty, rest = (inspect.getdoc(importlib.import_module(package)) or "").partition("\n\n")
        tested = "\n".join(f"- {sentence_of(check)}" for check in (checks.has_a_sentence, *checks.KINDS[name]))
        parts += [f"## {name}", f"{plain(first)} In {code('/'.join(package.split('.')))}; entry point group {code(package)}."]
        parts += [prose(rest), f"`endcap check {name}` holds of each:", tested, PARTICULARS.get(name, sentences)(built_in(name))]
    return page("Shelves", *parts)


def built_in(name: str) -> dict[str, ModuleType]:
    """The components that endcap brings itself, whatever else is installed."""
    return {one: module for one, module in shelf.components(name).items() if module.__name__ == f"{shelf.SHELVES[name]}.{one}"}


def sentences(components: dict[str, ModuleType]) -> str:
    return table(("name", "sentence"), ((code(name), sentence_line(module)) for name, module in components.items()))


def format_particulars(components: dict[str, ModuleType]) -> str:
    """The formats, and under `options` what each can be told."""
    options = ((code(name), code(option), plain(words)) for name, module in components.items() for option, words in module.OPTIONS.items())
    return sentences(components) + "\n\nWhat may stand under a feed's `options`:\n\n" + table(("format", "option", "what it does"), options)


def feature_particulars(components: dict[str, ModuleType]) -> str:
    rows = ((code(name), sentence_line(one), one.VIEW, DIRECTIONS[one.DIRECTION]) for name, one in components.items())
    return table(("name", "sentence", "view", "more of it speaks"), rows)


def attribute_particulars(components: dict[str, ModuleType]) -> str:
    return table(("name", "sentence", "version"), ((code(name), sentence_line(one), str(one.VERSION)) for name, one in components.items()))


def metric_particulars(components: dict[str, ModuleType]) -> str:
    heads = ("name", "sentence", "one row is", "better", "shown from n", "guard rails", "version")
    return table(
        heads,
        (
            (code(name), sentence_line(one), plain(one.GRAIN), one.DIRECTION, f"{one.MIN_N:,}", plain(", ".join(one.GUARD_RAILS)), str(one.VERSION))
            for name, one in components.items()
        ),
    )


PARTICULARS: dict[str, Callable[[dict[str, ModuleType]], str]] = {
    "formats": format_particulars, "features": feature_particulars, "attributes": attribute_particulars, "metrics": metric_particulars,
}  # fmt: skip
