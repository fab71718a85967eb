"""Global trade item numbers: to 14 digits where the check digit proves it, else nothing and the reason.

Source of the rules: GS1 General Specifications (check digit, prefixes for restricted circulation and coupons).
"""

from __future__ import annotations

# Spreadsheets show long numbers rounded to six figures; written back out, the rest are zeros.
SPREADSHEET_ZEROS = "000000"
SHORTEST_WITH_LOST_ZEROS = 10
REASONS: dict[str, str] = {
    "not_digits": "it holds more than digits",
    "wrong_length": "it has neither 8, 12, 13 nor 14 digits",
    "ruined_by_spreadsheet": "a spreadsheet rounded it",
    "wrong_check_digit": "its check digit is wrong",
    "restricted": "its prefix is for numbers a shop gives out itself, or for coupons",
}


def check_digit(digits: str) -> int:
    """The check digit that belongs after `digits` (a number without its last digit), by GS1's weights 3, 1, 3 ... from the right."""
    return -(3 * sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2]))) % 10


def normalise(text: str) -> tuple[str | None, str | None]:
    """The number as 14 digits, or None with a reason from REASONS.

    Spaces and hyphens between digits are dropped. Numbers of 10 or 11 digits get their lost leading zeros back when the
    check digit agrees. A shop's own numbers and coupons are refused: they mean something only inside one shop.
    """
    digits = _bare(text)
    if not (digits.isascii() and digits.isdigit()):
        return None, "ruined_by_spreadsheet" if _is_scientific(digits) else "not_digits"
    if digits.endswith(SPREADSHEET_ZEROS):
        return None, "ruined_by_spreadsheet"
    if not _length_is_possible(digits):
        return None, "wrong_length"
    if check_digit(digits[:-1]) != int(digits[-1]):
        return None, "wrong_check_digit"
    if _is_restricted(digits):
        return None, "restricted"
    return digits.zfill(14), None


def _bare(text: str) -> str:
    """The number without what spreadsheets and people put around and between the digits."""
    bare = text.strip()
    if bare.startswith('="') and bare.endswith('"'):
        bare = bare[2:-1]
    bare = bare.lstrip("'")
    if bare.endswith(".0"):
        bare = bare[:-2]
    return bare.replace(" ", "").replace("-", "")


def _is_scientific(text: str) -> bool:
    mantissa, mark, exponent = text.upper().replace(",", ".").partition("E")
    return bool(mark) and mantissa.replace(".", "", 1).isdigit() and exponent.lstrip("+").isdigit()


def _length_is_possible(digits: str) -> bool:
    return len(digits) in (8, 12, 13, 14) or SHORTEST_WITH_LOST_ZEROS <= len(digits) < 12


def _is_restricted(digits: str) -> bool:
    """Prefixes 02, 04, 2x (restricted circulation), 05, 98, 99 (coupons), and numbers of eight digits that begin with 0 or 2."""
    full = digits.zfill(14)
    if full.startswith("000000"):
        return full[6] in "02"
    prefix = full[1:4]
    return prefix[0] == "2" or prefix[:2] in ("02", "04", "05", "98", "99")
