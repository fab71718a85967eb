"""The house's categories: a CSV file `category,words`, each category a path joined by ' > ' with the words people use for it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from endcap.problems import BadInput

SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Category:
    """One category of the house: its path, top first, and other names people give it."""

    path: str
    words: tuple[str, ...]

    @property
    def levels(self) -> list[str]:
        return self.path.split(SEPARATOR)


def read_taxonomy(file: Path) -> tuple[Category, ...]:
    """The categories in the order of the file.

    Raises BadInput with every mistake and its line: a missing column, an empty or repeated category, an empty level.
    """
    if not file.is_file():
        raise BadInput(f"there is no taxonomy file {file.name}", where=str(file.parent), todo="correct `taxonomy` in the settings or write the file")
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            missing = [name for name in ("category", "words") if name not in (rows.fieldnames or [])]
            if missing:
                raise BadInput(f"the taxonomy lacks the column {' and '.join(missing)}", where=f"{file.name} line 1", todo="its header must be category,words")
            numbered = [(rows.line_num, row) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"the taxonomy is not readable CSV: {error}", where=file.name, todo="save it as UTF-8 CSV with comma and double quotes") from None
    return _checked(numbered, file.name)


def _checked(numbered: list[tuple[int, dict[str, str]]], name: str) -> tuple[Category, ...]:
    categories: dict[str, Category] = {}
    mistakes: list[str] = []
    for line, row in numbered:
        path = " ".join((row["category"] or "").split())
        if not path:
            mistakes.append(f"line {line}: no category")
        elif any(not level.strip() for level in path.split(">")):
            mistakes.append(f"line {line}: {path!r} has an empty level")
        elif None in row or row["words"] is None:
            mistakes.append(f"line {line}: {path!r} does not have exactly the two columns (words with commas need double quotes)")
        else:
            path = SEPARATOR.join(level.strip() for level in path.split(">"))
            if path in categories:
                mistakes.append(f"line {line}: {path!r} is given twice")
            categories[path] = Category(path, tuple(word.strip() for word in row["words"].split("|") if word.strip()))
    if not categories and not mistakes:
        mistakes.append("line 1: no category follows the header")
    if mistakes:
        raise BadInput(f"the taxonomy has {len(mistakes)} mistake{'s' * (len(mistakes) > 1)}: {'; '.join(mistakes)}", where=name, todo="correct these lines")
    return tuple(categories.values())
