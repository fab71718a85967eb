"""GTINs: an oracle table, and the check digit's own law."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endcap.gtin import REASONS, check_digit, normalise

ORACLE = [
    ("4006381333931", "04006381333931", None),
    (" 4006 3813-33931 ", "04006381333931", None),
    ("'4006381333931", "04006381333931", None),
    ('="4006381333931"', "04006381333931", None),
    ("4006381333931.0", "04006381333931", None),
    ("14006381333938", "14006381333938", None),
    ("036000291452", "00036000291452", None),
    ("36000291452", "00036000291452", None),  # one zero lost
    ("96385074", "00000096385074", None),  # GTIN-8
    ("00000096385074", "00000096385074", None),
    ("978-0-306-40615-7", "09780306406157", None),
    ("4006381333932", None, "wrong_check_digit"),
    ("36000291453", None, "wrong_check_digit"),
    ("736000000000", None, "ruined_by_spreadsheet"),
    ("7.36E+11", None, "ruined_by_spreadsheet"),
    ("7,36e+11", None, "ruined_by_spreadsheet"),
    ("2000000010007", None, "restricted"),
    ("0200000000000", None, "ruined_by_spreadsheet"),
    ("0212345678905", None, "wrong_check_digit"),
    ("9812345678905", None, "wrong_check_digit"),
    ("20000004", None, "restricted"),
    ("1234567", None, "wrong_length"),
    ("123456789", None, "wrong_length"),
    ("123456789012345", None, "wrong_length"),
    ("n/a", None, "not_digits"),
    ("", None, "not_digits"),
    ("4006381333931, 4006381333948", None, "not_digits"),
    ("\u0664\u0660\u0660\u0666\u0663\u0668\u0661\u0663\u0663\u0663\u0669\u0663\u0661", None, "not_digits"),
    ("\uff14006381333931", None, "not_digits"),
]


@pytest.mark.parametrize(("text", "expected", "reason"), ORACLE)
def test_oracle(text: str, expected: str | None, reason: str | None) -> None:
    assert normalise(text) == (expected, reason)


@pytest.mark.parametrize("prefix", ["02", "04", "05", "20", "29", "98", "99"])
def test_numbers_with_a_meaning_inside_one_shop_only_are_refused(prefix: str) -> None:
    body = (prefix + "1234567890")[:12]
    assert normalise(body + str(check_digit(body))) == (None, "restricted")


@given(st.from_regex(r"[6-8][1-9]{10,11}", fullmatch=True))
def test_a_right_check_digit_is_taken_and_every_single_wrong_figure_refused(body: str) -> None:
    number = body + str(check_digit(body))
    assert normalise(number) == (number.zfill(14), None)
    wrong = str((int(number[4]) + 1) % 10)
    assert normalise(number[:4] + wrong + number[5:])[1] in ("wrong_check_digit", "ruined_by_spreadsheet")


@given(st.text(max_size=30))
def test_anything_gives_a_number_or_a_known_reason(text: str) -> None:
    number, reason = normalise(text)
    assert (number is None) == (reason in REASONS)
    assert number is None or (len(number) == 14 and normalise(number)[0] == number)
