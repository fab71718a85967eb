"""Words of the code set as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

WRITTEN_BY = "<!-- Written by `python docs/generate.py` from the code. Change the words there, then run it again. -->"
MARKS = re.compile(r"(`[^`]*`)|([|<*])")


def page(title: str, *parts: str) -> str:
    """A whole page: title, note, parts with an empty line between."""
    return "\n\n".join([f"# {title}", WRITTEN_BY, *(part.strip("\n") for part in parts if part)]) + "\n"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; empty when there are no rows."""
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    heads = list(heads)
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads), *lines]) if lines else ""


def plain(text: str) -> str:
    """Words of the code as Markdown that shows them as they are; what stands between backticks stays code."""
    return MARKS.sub(lambda found: found[1].replace("|", "\\|") if found[1] else f"\\{found[2]}", " ".join(text.split()))


def code(text: object) -> str:
    """A name or value of the code, fit for a table too."""
    return "`` " + str(text).replace("|", "\\|") + " ``" if "`" in str(text) else "`" + str(text).replace("|", "\\|") + "`"


def sentence_of(thing: Any) -> str:
    """The first paragraph of a docstring."""
    return plain((inspect.getdoc(thing) or "").split("\n\n")[0])


def prose(text: str) -> str:
    """A docstring's text: lines set in two columns become a list, what is a list stays one, the rest is paragraphs."""
    blocks: list[str] = []
    for line in text.strip("\n").splitlines():
        columns = re.split(r"\s{2,}", line.strip(), maxsplit=1)
        if line.startswith("  ") and columns[0]:
            blocks.append(f"- {code(columns[0])}" + (f": {plain(columns[1])}" if len(columns) > 1 else ""))
        elif line.startswith("- "):
            blocks.append(f"- {plain(line[2:])}")
        elif blocks and line.strip() and blocks[-1] and not blocks[-1].startswith("- "):
            blocks[-1] += f" {plain(line)}"
        else:
            blocks.append(plain(line))
    return "\n".join(_spaced(blocks))


def _spaced(blocks: list[str]) -> Iterator[str]:
    """An empty line where a list begins or ends."""
    before = ""
    for block in blocks:
        if before and block and before.startswith("- ") != block.startswith("- "):
            yield ""
        yield block
        before = block


def sentence_line(module: ModuleType) -> str:
    """The one sentence a component says of itself: the first line of its docstring."""
    return plain((module.__doc__ or "").strip().split("\n")[0])
