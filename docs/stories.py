"""Plays docs/stories.md: every command on it as typed, people simulated by the world's truth; `python docs/stories.py` writes what was printed.

On the page a `console` block is a command and what it prints, a block named after a file is that file, and a comment `people: ...` is what
somebody does meanwhile. What follows the first ` | ` of a command is left to the shell, as are commands that are not ours.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from tried import answered, audited, challenger, home_of

from endcap.cli import app

PAGE = Path(__file__).with_name("stories.md")
WORLD = "world"
WIDTH = 150
_PART = re.compile(r"^```console\n\$ (?P<command>(?:.*\\\n)*.*)\n(?P<output>(?:.*\n)*?)```$|^```\w+ (?P<file>\S+)\n(?P<content>(?:.*\n)*?)```$|^<!-- people: (?P<people>.*) -->$", re.M)  # fmt: skip  # noqa: E501
# What differs from day to day, from person to person and with every other model; the words around stay.
_OFFERS = re.compile(r"\b[a-z-]+:[\w-]*\d\b,?")
_VARIES = re.compile(r"@[0-9a-f]{12}[.\w]+|\d{4}-\d\d-\d\d(T[\d:]+Z)?|s\d{4}-[0-9a-f]{12}|\b[0-9a-f]{12}\b|\bP[A-Z0-9]{12}\b|[-+]?\d[\d,.]*\d|[-+]?\d")


@dataclass(frozen=True)
class Played:
    """One command of the page: what the page shows of it, and what it printed."""

    command: str
    shown: str
    printed: str

    @property
    def agrees(self) -> bool:
        return words_of(self.shown) == words_of(self.printed)


def words_of(text: str) -> str:
    """The words of what was printed, without its figures, hashes, dates, offers and line ends."""
    return " ".join(_VARIES.sub("#", _OFFERS.sub("", text)).split())


def story(number: int) -> str:
    """The text of one story of the page."""
    return _split(PAGE.read_text(encoding="utf-8"))[number]


def _split(page: str) -> list[str]:
    """What stands before the first story, and each story with its heading; a heading within a block is printed, not one of the page."""
    parts, within = [""], False
    for line in page.splitlines(keepends=True):
        within ^= line.startswith("```")
        if line.startswith("## ") and not within:
            parts.append("")
        parts[-1] += line
    return parts


def play(text: str, folder: Path, *, made: bool = False) -> Iterator[Played]:
    """Play a story in a folder, command after command; `made`: its world is there already. Raises AssertionError where a command fails."""
    model = ""
    for part in _PART.finditer(text):
        with chdir(folder):
            if part["file"]:
                Path(part["file"]).write_text(part["content"], encoding="utf-8")
            elif part["people"]:
                model = _people(part["people"]) or model
            elif not (made and part["command"].startswith("endcap demo")):
                # What is opened is remembered by its path, which is to be another one for every world of a process.
                command = part["command"].replace("\\\n", "").replace(f"--dir {WORLD}", f"--dir {shlex.quote(str(folder / WORLD))}")
                yield Played(part["command"], part["output"], _printed(command.replace("MODEL", model)))


def write() -> None:
    """Play every story and put what was printed into the page."""
    stories = _split(PAGE.read_text(encoding="utf-8"))
    for number, text in enumerate(stories[1:], start=1):
        with tempfile.TemporaryDirectory() as folder:
            printed = iter([_block(one) for one in play(text, Path(folder))])
        stories[number] = _PART.sub(lambda part, printed=printed: next(printed) if part["command"] else part[0], text)
    PAGE.write_text("".join(stories), encoding="utf-8")


def _block(one: Played) -> str:
    return "".join(["```console\n", f"$ {one.command}\n", *(f"{line}\n" for line in _wrapped(one.printed)), "```"])


def _wrapped(printed: str) -> Iterator[str]:
    for line in printed.rstrip().splitlines():
        yield from textwrap.wrap(line.rstrip(), WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False) or [""]


def _printed(command: str) -> str:
    words, bar, rest = command.partition(" | ")
    if not words.startswith("endcap "):
        return _by_shell(command, "")
    given = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "120"
    try:
        ran = CliRunner().invoke(app, shlex.split(words)[1:])
    finally:
        os.environ.pop("COLUMNS") if given is None else os.environ.update(COLUMNS=given)
    assert ran.exit_code == 0, f"{command} ended with {ran.exit_code}: {ran.exception!r} {ran.stderr[-500:]}"
    return _by_shell(rest, ran.stdout) if bar else ran.stdout


def _by_shell(command: str, given: str) -> str:
    return subprocess.run(command, shell=True, check=True, input=given, capture_output=True, text=True).stdout


def _people(done: str) -> str:
    """What people do meanwhile; out: the id of a model that they made."""
    home, (verb, *about) = home_of(Path(WORLD).absolute()), done.split()
    if verb == "answer":
        assert answered(home, about[0]), f"nothing of {about[0]} waits"
    elif verb == "audit":
        assert audited(home, int(about[0])) >= int(about[0]) - 5, "too little could be audited"
    elif verb == "mistrain":
        return challenger(home, wrong=0.9, times=4)
    else:
        raise ValueError(f"people know no {verb!r}")
    return ""


if __name__ == "__main__":
    write()
