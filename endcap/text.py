"""Text repair: what a person would have read, without markup, broken encodings and invisible characters."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from functools import cache

# A title's letters beyond these name nothing new; what compares or understands titles reads no further, so that its time is bounded.
TITLE_LETTERS = 1000
# Zero-width and direction marks, soft hyphens, and control characters other than white space.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# A '<' that opens no tag ('size < 5') stays; stopping at the next '<' keeps the search linear.
TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# A letter decoded wrongly becomes two or more characters beyond ASCII in a row, not both small letters of western languages
# ('öß'); without such neighbours the dear check is saved.
NEIGHBOURS = re.compile("[^\x00-\x7fß-öø-ÿ][^\x00-\x7f]|[^\x00-\x7f][^\x00-\x7fß-öø-ÿ]")
SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """One line of repaired text.

    Character entities are resolved (also when escaped twice), tags dropped, wrongly decoded text repaired (ftfy),
    invisible characters removed, composed to NFC, white space collapsed.
    """
    if "&" in text:
        text = _unescaped(text)
    if "<" in text:
        text = _without_tags(text)
    if not text.isascii():
        text = _repaired(text)
    elif text.isprintable():
        return text if "  " not in text and text[:1] != " " != text[-1:] else " ".join(text.split())
    else:
        text = INVISIBLE.sub("", text)
    return " ".join(text.split())


def fold(text: str) -> str:
    """Case, accents and compatibility forms taken away: 'Crème №5' and 'creme no5' become the same."""
    folded = text.casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFKD", folded).casefold()


def _unescaped(text: str) -> str:
    for _ in range(2):
        if not ENTITY.search(text):
            break
        text = html.unescape(text)
    return text


def _without_tags(text: str) -> str:
    for name in ("script", "style"):
        text = _without_blocks(text, name)
    return TAG.sub(" ", text)


def _without_blocks(text: str, name: str) -> str:
    """Drop elements whose content is not for reading, by plain searching: linear however the text was built."""
    lowered, opening, closing = text.lower(), f"<{name}", f"</{name}"
    if opening not in lowered or len(lowered) != len(text):
        return text
    kept, at = [], 0
    while (start := lowered.find(opening, at)) >= 0:
        end = lowered.find(closing, start)
        kept.append(text[at:start])
        if end < 0:
            return " ".join(kept)
        after = lowered.find(">", end)
        at = after + 1 if after >= 0 else len(text)
    return " ".join([*kept, text[at:]])


def _repaired(text: str) -> str:
    text = SURROGATE.sub("\ufffd", text)
    if NEIGHBOURS.search(text):
        is_bad, fix_text = _ftfy()
        if is_bad(text):
            text = fix_text(text, uncurl_quotes=False)
    text = INVISIBLE.sub("", text)
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


@cache
def _ftfy() -> tuple[Callable[[str], bool], Callable[..., str]]:
    """Loaded only where a text needs it."""
    from ftfy import fix_text
    from ftfy.badness import is_bad

    return is_bad, fix_text
