"""The two ways a run ends early: bad input (exit code 2) and held by a guard (exit code 3).

Bad rows are data and go to quarantine; bad programs are ordinary exceptions (exit code 1).
"""

from __future__ import annotations

import errno
import re

# From the root of this machine to a file's folder; neither a path within the catalog nor a web address.
FOLDERS = re.compile(r"(?<![\w./:~-])/(?:[^\s/'\":;,()]+/)+(?=[^\s/'\":;,()])")


class Problem(Exception):
    """Something a person must act on, said in one sentence: what, where, what to do."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """`what (where); todo.` on one line."""
        return self._on_one_line(self.where)

    def shown(self) -> str:
        """The same for pages and the API: a file is named, but not where on this machine it lies."""
        return self._on_one_line(without_folders(self.where))

    def _on_one_line(self, where: str) -> str:
        place = f" ({where})" if where else ""
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


# What a failure of the machine means to whoever reads of it: errno -> (what, what to do).
_OF_THE_MACHINE = {
    errno.ENOSPC: ("the disk is full", "free some room, then run again"),
    errno.EDQUOT: ("this user's share of the disk is used up", "free some room, then run again"),
    errno.EACCES: ("permission is denied", "give this user the right to it, then run again"),
    errno.EPERM: ("permission is denied", "give this user the right to it, then run again"),
    errno.EROFS: ("the disk cannot be written to", "mount it for writing, then run again"),
    errno.ENOENT: ("a file is missing", "put it back, then run again"),
    errno.EMFILE: ("too many files are open", "raise the limit (`ulimit -n`), then run again"),
    errno.EIO: ("the disk cannot be read or written", "look after the disk, then run again"),
    errno.ENOMEM: ("there is not enough memory", "give it more, or set fewer `cores` or a smaller `batch_rows`, then run again"),
    errno.ETIMEDOUT: ("it took too long to answer", "run again"),
}
_STOPPED = ("Query interrupted", "KeyboardInterrupt")  # as DuckDB says that it was stopped by hand
_NOTHING_CHANGED = "nothing of it is published; run again, and where it fails again report it with the log"


def without_folders(text: str) -> str:
    """A text in which files of this machine stand with their names alone."""
    return FOLDERS.sub("", text)


def in_words(error: BaseException) -> str:
    """A failure in one sentence that names its cause and what to do next; it is kept and shown to all who may look, so that it names no folder."""
    if isinstance(error, Problem):
        return error.shown()
    if isinstance(error, KeyboardInterrupt | SystemExit) or any(sign in str(error) for sign in _STOPPED):
        return "it was stopped by hand; the next run does its work again."
    words = without_folders(" ".join(str(error).split("(Background on this error")[0].split()))[:400]
    number = _number_of(error, words)
    if number in _OF_THE_MACHINE:
        what, todo = _OF_THE_MACHINE[number]
        return Problem(what, where=str(getattr(error, "filename", None) or ""), todo=todo).shown()
    if "locked" in words and type(error).__name__ == "OperationalError":
        return Problem("another program holds the operational database locked", todo="end it, then run again").sentence()
    return Problem(f"{type(error).__name__}: {words}" if words else type(error).__name__, todo=_NOTHING_CHANGED).sentence()


def _number_of(error: BaseException, words: str) -> int | None:
    """The errno of a failure; libraries that have none say it in words or by their class."""
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return errno.ENOMEM
    if isinstance(error, TimeoutError):
        return errno.ETIMEDOUT
    if "No space left on device" in words or "disk is full" in words:
        return errno.ENOSPC
    number: int | None = getattr(error, "errno", None)
    return number
