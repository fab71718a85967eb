"""`endcap review`: one doubtful decision after another, answered by a letter."""

from __future__ import annotations

import sys

from rich.console import Console

from endcap.cli.show import console
from endcap.ops.home import Home
from endcap.problems import BadInput
from endcap.review.override import Override, answer, last_undoable, undo
from endcap.review.queue import ReviewItem, waiting

KEYS = {"y": "same", "n": "different", "0": "new", "s": "skip"}
HELP = "y same   n different   1-9 that candidate   0 new product   s skip   u undo   q stop   ? help"


def ask_all(home: Home, *, actor: str, limit: int) -> None:
    """Show each item and store the answer at once. Ends at the end of the queue, at `q`, or when input ends."""
    out = console()
    if home.snapshot() is None:
        raise BadInput("there is no catalog yet", where=str(home.path), todo="run `endcap run` first")
    with home.connect() as con:
        items = waiting(con, home.manifest().override_sequence, limit=limit)
    nothing = "Nothing needs you: every decision was sure enough, or is answered and waits for `endcap run`."
    out.print(f"{len(items)} wait for a person.  {HELP}" if items else nothing)
    number, given = 0, 0
    while number < len(items):
        _show(items[number], number, len(items), out)
        key = _read_key(out)
        if key in ("q", ""):
            break
        if key == "u":
            number, given = _undo(home, items, number, given, actor, out)
        elif key == "?" or not _valid(key, items[number]):
            out.print(HELP)
        else:
            stored = _answer(home, items[number], key, actor)
            out.print(f"  {stored.action}  (answer {stored.override_id}; u takes it back)", style="green")
            number, given = number + 1, given + 1
    if given:
        out.print(f"{given} answers kept. `endcap run` takes them in; `endcap train` learns from them.")


def _read_key(out: Console) -> str:
    """The one key of a line, `?` for anything longer ('none' is no 'n', '12' no '1'); nothing when input ends."""
    out.print("> ", end="")
    line = sys.stdin.readline()
    key = line.strip().lower()
    return (key if len(key) == 1 else "?") if line else ""


def _valid(key: str, item: ReviewItem) -> bool:
    if key in ("y", "n"):
        return bool(item.candidates)
    return key in KEYS or (key.isdecimal() and 1 <= int(key) <= len(item.candidates))


def _answer(home: Home, item: ReviewItem, key: str, actor: str) -> Override:
    if key in KEYS:
        return answer(home, item, KEYS[key], actor=actor)
    return answer(home, item, "same" if key == "1" else "other", actor=actor, candidate=int(key))


def _undo(home: Home, items: list[ReviewItem], number: int, given: int, actor: str, out: Console) -> tuple[int, int]:
    newest = last_undoable(home, actor=actor)
    if newest is None:
        out.print("nothing to undo")
        return number, given
    taken_back = undo(home, newest, actor=actor)
    out.print(f"  undone: {taken_back.offer_id}", style="green")
    if number and items[number - 1].offer_id == taken_back.offer_id:
        return number - 1, given - 1
    return number, given


def _show(item: ReviewItem, number: int, of: int, out: Console) -> None:
    out.print(f"\n[{number + 1}/{of}]  {item.reason}", style="dim")
    facts = [fact for fact in (item.brand, item.quantity_text, item.price) if fact and fact.strip()]
    out.print(f"  {item.supplier} says   {item.title}" + (f"   ({', '.join(facts)})" if facts else ""), style="bold")
    for place, candidate in enumerate(item.candidates, start=1):
        out.print(f"  {place}  {candidate.title}   [{candidate.offers} {'offer' if candidate.offers == 1 else 'offers'}, {candidate.product_id}]")
        if candidate.counterpart_title not in (None, candidate.title):
            out.print(f"     as sold: {candidate.counterpart_title}", style="dim")
