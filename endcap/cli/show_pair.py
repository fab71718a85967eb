"""How two offers together look in the terminal: 80 columns, no colour needed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from endcap.decide.policy import shown

if TYPE_CHECKING:
    from endcap.decide.between import NearOffer, PairBar, PairExplanation, PairOffer

WIDTH = 80
FULL_BARS = 9
WORDS_WIDTH, NUMBER_WIDTH, DRAWN_WIDTH = 38, 7, 30
UP, DOWN, AXIS = "█", "░", "│"
NEAR_SHOWN = 5
# A supplier's title may be a book.
MOST_LINES = 6
MARKS = {True: "yes", False: "NO", None: "-"}


def lines_of(explanation: PairExplanation) -> list[str]:
    """The whole answer in words, a line each, in 80 columns."""
    blocks = [
        [*_offer_lines(explanation.left), *_offer_lines(explanation.right)],
        [*_wrapped(_sentence(explanation.words)), *_wrapped(f"To do: {explanation.todo}.")],
        ["The way of the pair", *(line for step in explanation.steps for line in _wrapped(step.words, f"  {MARKS[step.passed]:<4}{step.name:<12}"))],
        _waterfall(explanation),
        *(_near_lines(offer, explanation.near) for offer in (explanation.left, explanation.right)),
        ["What people said", *(line for answer in explanation.answers for line in _wrapped(answer, "  "))] if explanation.answers else [],
    ]
    return [line for block in blocks if block for line in ("", *block)][1:]


def _sentence(words: str) -> str:
    """Begun with a capital, unless it begins with an id, which is written in one way only."""
    return words if ":" in words.split(" ", 1)[0] else words[:1].upper() + words[1:]


def _wrapped(text: str, first: str = "") -> list[str]:
    """Words in lines of 80 columns; later lines stand under the first one's text."""
    lines = textwrap.wrap(_plain(text), WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False, max_lines=MOST_LINES)
    return lines or [first.rstrip()]


def _offer_lines(offer: PairOffer) -> list[str]:
    stated = [f"brand {offer.brand}" if offer.brand else "", f"GTIN {offer.gtin}" if offer.gtin else ""]
    price = "" if offer.price is None else f"{offer.price:,.2f} {offer.currency or ''}".strip()
    place = offer.product_id or ("waits for a person" if offer.action == "to_review" else "" if offer.live else "no longer delivered")
    about = ", ".join(part for part in (*stated, price, place) if part)
    return [*_wrapped(offer.offer_id), *_wrapped(offer.title, "  "), *(_wrapped(about, "  ") if about else [])]


def _waterfall(explanation: PairExplanation) -> list[str]:
    """Bars that start where the one before ended; the shown numbers sum to the shown log-odds."""
    if explanation.score is None:
        return []
    origin = f"of run {explanation.run}" if explanation.stored else "computed now; no run compared them"
    head = f"Likeness {shown(explanation.score)}, {origin}"
    if explanation.log_odds is None:
        return [*_wrapped(f"{head}; its model {explanation.model} is no longer there, so that its sum cannot be shown")]
    total = round(explanation.log_odds, 2)
    rows = [(_bar_words(bar), round(bar.contribution, 2)) for bar in explanation.bars[:FULL_BARS]]
    others = explanation.bars[FULL_BARS:]
    if others:
        rows.append((f"{len(others)} others, and rounding", round(total - sum(number for _words, number in rows), 2)))
    lines = [*_wrapped(f"{head}: the sum of what speaks for ({UP}) and against it ({DOWN}), in log-odds; 0 is as likely as not"), ""]
    for (words, number), drawn in zip(rows, _drawn([number for _words, number in rows]), strict=True):
        lines.append(f"  {_cut(words, WORDS_WIDTH)} {number:>+{NUMBER_WIDTH}.2f} {drawn}".rstrip())
    return [*lines, f"  {'sum = log-odds of ' + shown(explanation.score):<{WORDS_WIDTH}} {total:>+{NUMBER_WIDTH}.2f}"]


def _drawn(numbers: Sequence[float]) -> list[str]:
    """One drawing a number: from where the sum stood to where it stands with it, on a common scale with its zero marked."""
    ends = [sum(numbers[: place + 1]) for place in range(len(numbers))]
    low, high = min(0.0, *ends), max(0.0, *ends)
    scale = (DRAWN_WIDTH - 1) / max(high - low, 1e-9)

    def column(value: float) -> int:
        return round((value - low) * scale)

    lines = []
    for number, end in zip(numbers, ends, strict=True):
        cells = [" "] * DRAWN_WIDTH
        cells[column(0.0)] = AXIS
        first, last = sorted((column(end - number), column(end)))
        for place in range(first, last if last > first else first + (abs(number) >= 0.005)):
            cells[place] = UP if number > 0 else DOWN
        lines.append("".join(cells))
    return lines


def _bar_words(bar: PairBar) -> str:
    name = bar.name.replace("_", " ")
    return bar.words or (f"{name}: not stated by both" if bar.value is None else f"{name} {bar.value:.2f}")


def _plain(text: str) -> str:
    """Without what could steer a terminal: suppliers write these texts."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _cut(text: str, width: int) -> str:
    """The text in so many cells (some scripts take two a letter), cut with dots or filled with blanks."""
    text = _plain(text)
    return set_cell_size(text if cell_len(text) <= width else f"{set_cell_size(text, width - 3)}...", width)


def _near_lines(offer: PairOffer, near: Sequence[NearOffer]) -> list[str]:
    """The first candidates of an offer with their ranks."""
    own = [one for one in near if one.of_offer_id == offer.offer_id]
    if not own:
        return []
    by = "nearest first" if own[0].similarity is not None else "kept ones, likest first"
    lines = _wrapped(f"Candidates of {offer.offer_id}, {by}" + (f" (the first {NEAR_SHOWN} of {len(own)})" if len(own) > NEAR_SHOWN else ""))
    for one in own[:NEAR_SHOWN]:
        likeness = f"likeness {shown(one.score)}"
        head = f"  {one.rank:>2}  {likeness:<20}"
        lines += [f"{head}{_cut(one.offer_id, WIDTH - len(head))}".rstrip(), f"{'':<{len(head)}}{_cut(one.title, WIDTH - len(head))}".rstrip()]
    return lines
