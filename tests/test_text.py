"""Text repair: an oracle table, and that repaired text is left alone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.text import INVISIBLE, clean

ORACLE = [
    ("Mug  red\n 0.3 l ", "Mug red 0.3 l"),
    ("Mug\u00a0red\u2009\u202f2", "Mug red 2"),
    ("Black &amp; Decker", "Black & Decker"),
    ("26&amp;quot; x 26&amp;quot;", '26" x 26"'),
    ("AT&T; &nosuchname; &", "AT&T; &nosuchname; &"),
    ("<p>Soft <b>and</b> warm</p>", "Soft and warm"),
    ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
    ("size < 5 and > 3", "size < 5 and > 3"),
    ("a<script>alert('x')</script>b", "a b"),
    ("a<script>alert('x')", "a"),
    ("mem\u00c3\u00b3riak\u00c3\u00a1rtya", "memóriakártya"),
    ("Gr\u00c3\u00b6\u00c3\u0178e XL", "Größe XL"),
    ("Größe Straße Äpfel café", "Größe Straße Äpfel café"),
    ("\u041a\u043e\u0444\u0435 \u0432 \u0437\u0435\u0440\u043d\u0430\u0445", "\u041a\u043e\u0444\u0435 \u0432 \u0437\u0435\u0440\u043d\u0430\u0445"),
    ("cafe\u0301", "caf\u00e9"),
    ("No\u200bkia\ufeff\u00ad 8\x00\x07", "Nokia 8"),
    ("\u202egnp.exe", "gnp.exe"),
    ("half \ud800", "half \ufffd"),
    ("“stark” ‘mild’", "“stark” ‘mild’"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), ORACLE)
def test_oracle(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text(max_size=80))
def test_no_invisible_character_and_no_loose_space_is_left(text: str) -> None:
    cleaned = clean(text)
    assert not INVISIBLE.search(cleaned)
    assert cleaned == " ".join(cleaned.split())
    cleaned.encode()


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), max_size=40))
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("hostile", ["<" * 200_000, "<script" * 30_000, "&amp;" * 40_000, "<a " * 60_000, "&#" * 100_000])
def test_hostile_texts_take_no_long_time(hostile: str) -> None:
    started = time.process_time()
    clean(hostile)
    assert time.process_time() - started < 2
