"""How the infer room compares words: without case, accents, umlaut spellings and endings, so that 'Süße Öle' meets 'suesse-oel'."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_TOKEN = re.compile(r"[^\W_]+")
_LIGATURES = str.maketrans({"ß": "ss", "æ": "a", "œ": "o", "ø": "o", "ł": "l", "đ": "d", "’": "'", "´": "'", "`": "'"})
_UMLAUT_SPELLINGS = (("ae", "a"), ("oe", "o"), ("ue", "u"))
# Longest first; only from words that stay at least four letters long.
_ENDINGS = ("innen", "en", "er", "es", "e", "n", "s")
_STOP_WORDS_TEXT = (
    "und and the for fur mit with von of der die das de des du la le les et y in im an auf zum zur a alle all other others andere "
    "sonstige sonstiges co etc more mehr sale angebot angebote neu new shop home produkte products product artikel sortiment"
)
_STOP_WORDS = frozenset(_STOP_WORDS_TEXT.split())


def folded(text: str) -> str:
    """Lower case without accents; the length may change, so spans must come from the original."""
    lowered = text.casefold().translate(_LIGATURES)
    if lowered.isascii():
        return lowered
    return "".join(character for character in unicodedata.normalize("NFKD", lowered) if not unicodedata.combining(character))


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """A folded word without its ending and with 'ae oe ue' written as 'a o u'."""
    for spelled, plain in _UMLAUT_SPELLINGS:
        word = word.replace(spelled, plain)
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def words(text: str) -> list[str]:
    """The folded words of a text, in order."""
    return _TOKEN.findall(folded(text))


def stems(text: str) -> list[str]:
    """The stems of a text's words that say something, in order."""
    return [stem(word) for word in words(text) if word not in _STOP_WORDS]


def compact(text: str) -> str:
    """Only the letters and digits, folded: the key under which "L'Oréal" and 'L OREAL' are one brand."""
    return "".join(words(text))
