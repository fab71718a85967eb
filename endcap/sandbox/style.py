"""How suppliers write titles: order, language, units, packs, codes, abbreviations, marketing words, slips of the hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from endcap.sandbox.dice import hits, pick
from endcap.sandbox.product import Product

ENGLISH, GERMAN = 0, 1
ABBREVIATIONS: tuple[tuple[str, str], ...] = (
    ("Kaffee gemahlen", "Kaffee gem."), ("Löslicher", "Lösl."), ("kräftig", "kräft."), ("klassisch", "klass."), ("dunkle Röstung", "dkl. Röst."),
    ("entkoffeiniert", "entkoff."), ("Mineralwasser", "Min.wasser"), ("Saftgetränk", "Saftgetr."), ("Limonade", "Limo"), ("Zitrone", "Zitr."),
    ("Holunder", "Holund."), ("zuckerfrei", "zf"), ("PET-Flasche", "PET"), ("Schokolade", "Schoko"), ("Vollmilch", "Vollm."), ("Haselnuss", "Haseln."),
    ("Joghurt", "Jogh."), ("waschmittel", "waschm."), ("Weichspüler", "Weichsp."), ("Anti-Schuppen-Shampoo", "Anti-Sch. Shampoo"),
    ("Konstruktionsset", "Konstr.set"), ("Klemmbausteine", "Klemmbaust."), ("schwarz", "schw."), ("violett", "viol."), ("Teile", "Tle"),
    ("für trockenes Haar", "trock. Haar"),
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """One supplier's way of writing."""

    language: int
    orders: tuple[tuple[str, ...], ...]  # slots of a title in order; an offer uses one of them
    amounts: str  # comma | plain | spaced | point: 1,5 l | 1500ml | 1500 ml | 1.5L
    packs: str  # times | er | of | pcs: 6 x 330 ml | 6er Pack | Pack of 6 | 6pcs
    code: str = "keep"  # keep | bare (no hyphens or blanks) | lower
    code_share: float = 0.7
    own_code_share: float = 0.5  # of the titles with a code: the variant's own part number instead of the family's
    variant_share: float = 0.93  # titles that state each property in which siblings differ
    spec_share: float = 0.6
    colour_share: float = 0.6  # titles that state a colour in which siblings do not differ
    brand_share: float = 0.95
    marketing: tuple[str, ...] = ()
    marketing_share: float = 0.0
    abbreviated: bool = False
    shouting: bool = False
    typo_share: float = 0.0
    size_word: str = ""


class Title(NamedTuple):
    """A title and what it gives away of the product."""

    text: str
    states_code: bool  # the variant's own part number
    states: tuple[str, ...]  # of the properties in which siblings differ


def title(product: Product, style: Style, draws: bytes) -> Title:
    """The title a supplier gives a product; `draws` decide on everything optional."""
    language = style.language
    states = tuple(name for at, name in enumerate(product.varying) if hits(draws, 2 + 2 * at, style.variant_share))
    code, own = _code(product, style, draws)
    texts = {
        "brand": product.brand if hits(draws, 6, style.brand_share) else "",
        "line": f"{('for', 'für')[language]} {product.main}" if product.main else product.line,
        "noun": product.noun[language],
        "specs": " ".join(spec[language] for at, spec in enumerate(product.specs) if hits(draws, 8 + 2 * at, style.spec_share)),
        "flavour": product.flavour[language] if "flavour" in states or "flavour" not in product.varying else "",
        "colour": _colour(product, style, draws, states),
        "size": _size(product, style, states),
        "content": _content(product, style, states),
        "code": code,
    }
    text = " ".join(filter(None, map(texts.__getitem__, style.orders[draws[0] % len(style.orders)])))
    return Title(_finish(text, style, draws), own and bool(code), states)


def _code(product: Product, style: Style, draws: bytes) -> tuple[str, bool]:
    """The model code as this supplier writes it, and whether it is the variant's own."""
    if not product.code or not hits(draws, 14, style.code_share):
        return "", False
    own = product.mpn != product.code and hits(draws, 16, style.own_code_share)
    code = product.mpn if own else product.code
    if style.code == "bare":
        code = code.replace("-", "").replace(" ", "").replace("/", "")
    return (code.lower() if style.code == "lower" else code), own


def _colour(product: Product, style: Style, draws: bytes, states: tuple[str, ...]) -> str:
    colour = product.colour[style.language]
    if not colour or "colour" in product.varying:
        return colour if "colour" in states else ""
    return colour if hits(draws, 18, style.colour_share) else ""


def _size(product: Product, style: Style, states: tuple[str, ...]) -> str:
    if not product.size or ("size" in product.varying and "size" not in states):
        return ""
    return f"{style.size_word} {product.size}".strip()


def _content(product: Product, style: Style, states: tuple[str, ...]) -> str:
    """Amount and pack count together, since many suppliers write '6 x 330 ml'."""
    amount = product.amount if "amount" not in product.varying or "amount" in states else 0.0
    pack = product.pack if "pack" not in product.varying or "pack" in states else 1
    return content_text(amount, product.goods.unit, pack, style.amounts, style.packs)


@cache
def content_text(amount: float, unit: str, pack: int, amounts: str, packs: str) -> str:
    """'6 x 1,5 l', '1500ml 6er Pack', 'Pack of 6 1.5L' ...; empty when there is nothing to say."""
    single = _amount_text(amount, unit, amounts) if amount else ""
    if pack == 1:
        return single
    if packs == "times" and single and unit != "GB":
        return f"{pack} x {single}" if " " in single else f"{pack}x{single}"
    words = {"times": f"{pack}x", "er": f"{pack}er Pack", "of": f"Pack of {pack}", "pcs": f"{pack}pcs"}[packs]
    return f"{single} {words}".strip()


def _amount_text(amount: float, unit: str, amounts: str) -> str:
    gap = "" if amounts in ("plain", "point") else " "
    large = {"g": ("kg", 1000), "ml": ("l", 1000), "GB": ("TB", 1000)}[unit]
    if amounts in ("comma", "point") and (amount >= 1000 or (amounts == "comma" and unit == "ml" and amount >= 750)):
        text = f"{amount / large[1]:g}{gap}{large[0].upper() if amounts == 'point' and unit == 'ml' else large[0]}"
        return text.replace(".", ",") if amounts == "comma" else text
    return f"{amount:g}{gap}{unit}"


def _finish(text: str, style: Style, draws: bytes) -> str:
    if style.abbreviated:
        for long, short in ABBREVIATIONS:
            text = text.replace(long, short)
    if style.marketing and hits(draws, 20, style.marketing_share):
        words = pick(style.marketing, draws[22])
        text = f"{words.lstrip('-| ')} {text}" if draws[23] < 90 else f"{text} {words}"
    if hits(draws, 24, style.typo_share):
        text = _typo(text, draws)
    return text.upper() if style.shouting else text


def _typo(text: str, draws: bytes) -> str:
    """Two letters swapped or one left out, never a digit: a slip, not another product."""
    at = 1 + draws[26] % max(1, len(text) - 2)
    if not text[at : at + 2].isalpha() or len(text) < 8:
        return text
    return text[:at] + text[at + 1 : at + 2] + (text[at] if draws[27] < 128 else "") + text[at + 2 :]
