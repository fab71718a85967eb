"""The two ways a run ends early: bad input (exit code 2) and held by a guard (exit code 3).

Bad rows are data and go to quarantine; bad programs are ordinary exceptions (exit code 1).
"""

from __future__ import annotations


class Problem(Exception):
    """Something a person must act on, said in one sentence: what, where, what to do."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """`what (where); todo.` on one line."""
        place = f" ({self.where})" if self.where else ""
        todo = f"; {self.todo}" if self.todo else ""
        return " ".join(f"{self.what}{place}{todo}.".split())


class BadInput(Problem):
    """Wrong usage, settings or files: nothing was changed."""

    exit_code = 2


class BadSettings(BadInput):
    """All mistakes of one settings file, reported at once."""

    def __init__(self, mistakes: list[str], *, where: str) -> None:
        self.mistakes = mistakes
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in the settings: " + "; ".join(mistakes), where=where, todo="correct and run again")


class Held(Problem):
    """A guard stopped it; the last good version is still served."""

    exit_code = 3
