"""Whose a name is: of one person however it is written, or endcap's own, under which no person acts."""

from __future__ import annotations

import unicodedata

from endcap.problems import BadInput

OWN = "endcap"  # who runs, proposes and rolls back by itself
POLICY = "the settings"  # who accepts where govern.accept_automatic says so


def person(name: object) -> str:
    """Somebody's name as that of one person, however it is written: case, width and white space make no second one."""
    return " ".join(unicodedata.normalize("NFKC", str(name)).casefold().split())


def check_person(actor: str, *, where: str = "--by", todo: str = "give your own name") -> None:
    """Raise BadInput where somebody speaks under a name under which endcap acts by itself: it is nobody's, so no second person's either."""
    if person(actor) in (OWN, POLICY):
        raise BadInput(f"{actor!r} is no person: endcap itself acts under that name", where=where, todo=todo)
