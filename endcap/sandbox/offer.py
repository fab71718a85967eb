"""One supplier's offer of one product: its texts as sent, mistakes included, and what is true of it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from endcap.sandbox.dice import dice, hits, wide
from endcap.sandbox.goods import Goods
from endcap.sandbox.product import Product
from endcap.sandbox.style import GERMAN, content_text, title
from endcap.sandbox.suppliers import SUPPLIERS, Supplier

OFFER_SALT, TITLE_SALT, PRICE_SALT = 10, 11, 12
CONTENT_UNITS = ("g", "ml")  # in which a supplier states the content in a field of its own
# UTF-8 read as Latin-1 or cp1252, as it arrives in real feeds.
MOJIBAKE = (("ä", "Ã¤"), ("ö", "Ã¶"), ("ü", "Ã¼"), ("ß", "ÃŸ"), ("Ä", "Ã„"), ("é", "Ã©"), ("'", "â€™"))


class State(NamedTuple):
    """What has happened to an offer by a day: the last day its price and its title changed (0: never), and incidents."""

    price_day: int = 0
    title_day: int = 0
    no_mpn: bool = False
    lure: Product | None = None  # the popular product whose GTIN a hijacker shows


class Truth(NamedTuple):
    """One row of truth/offers.csv without its key."""

    product: str
    category: str
    brand: str
    pack_count: int
    quantity: str
    unit: str
    colour: str
    kind: str
    resolvable: bool


class SentOffer(NamedTuple):
    """The texts a supplier sends, by the names of suppliers' columns, and the truth behind them."""

    texts: dict[str, str]
    truth: Truth
    repeated: bool
    ragged: bool


def sent_offer(seed: int, product: Product, place: int, number: int, state: State, *, second: bool = False) -> SentOffer:
    """What supplier SUPPLIERS[place] sends of a product under its own running number; `second`: a second offer of the same product."""
    supplier = SUPPLIERS[place]
    draws = dice(seed, OFFER_SALT + 20 * second, product.key, place)
    title_draws = dice(seed, TITLE_SALT + 20 * second, product.key, place, state.title_day)
    written = title(product, supplier.style, title_draws)
    gtin, gtin_good = _gtin(state.lure or product, supplier, draws, lured=state.lure is not None)
    mpn = product.mpn if not state.no_mpn and hits(draws, 4, supplier.mpn_share) else ""
    texts = {
        "id": supplier.id_form.format(number),
        "title": _spoil("" if hits(draws, 6, supplier.habits.no_title) else written.text, supplier, draws),
        "brand": "" if hits(draws, 8, supplier.habits.no_brand) else product.brand,
        "gtin": gtin,
        "mpn": mpn,
        "price": _price(seed, product, place, supplier, draws, state),
        "currency": "EUR",
        "quantity": _quantity(product, supplier, draws),
        "colour": product.colour[supplier.style.language] if draws[12] < 220 else "",
        "size": product.size,
        "number": str(number),
        "available": "true" if draws[13] < 235 else "false",
        "description": _description(product, supplier, draws),
    }
    told = _told(product, supplier, written.states, texts)
    resolvable = not product.varying or gtin_good or ((bool(mpn) or written.states_code) and product.mpn != product.code) or told
    return SentOffer(texts, _truth(product, state, second, resolvable), hits(draws, 14, supplier.habits.repeated), hits(draws, 16, supplier.habits.ragged))


def _truth(product: Product, state: State, second: bool, resolvable: bool) -> Truth:
    goods = product.goods
    kind = "hijack" if state.lure else "duplicate" if second else "accessory" if goods.fits else "normal"
    amount = f"{product.amount:g}" if product.amount else ""
    unit = goods.unit if amount else ""
    return Truth(f"P{product.key:08d}", goods.category, product.brand, product.pack, amount, unit, product.colour[0], kind, resolvable and not state.lure)


def _told(product: Product, supplier: Supplier, states: tuple[str, ...], texts: dict[str, str]) -> bool:
    """Whether title and separate fields together state every property in which siblings differ."""
    fields = {name: texts[name] for name in supplier.details}
    quantity = texts["quantity"] if "quantity" in supplier.fields else ""
    fields |= {"amount": quantity if product.goods.unit in CONTENT_UNITS else "", "pack": quantity}
    return all(name in states or fields.get(name) for name in product.varying)


def _gtin(product: Product, supplier: Supplier, draws: bytes, *, lured: bool) -> tuple[str, bool]:
    """The GTIN as sent, and whether it is right."""
    if lured:
        return product.gtin, True
    if not hits(draws, 0, supplier.gtin_share):
        return "", False
    habits, draw = supplier.habits, wide(draws, 2) / 65536
    if draw < habits.wrong_check_digit:
        return product.gtin[:-1] + str((int(product.gtin[-1]) + 1 + draws[18] % 9) % 10), False
    if draw < habits.wrong_check_digit + habits.ruined_gtin:
        ruined = f"{int(product.gtin):.5E}"
        return (ruined.replace(".", ",") if supplier.style.language == GERMAN else ruined), False
    return product.gtin, True


def _price(seed: int, product: Product, place: int, supplier: Supplier, draws: bytes, state: State) -> str:
    cents = product.cents * (0.9 + 0.24 * wide(draws, 20) / 65536)
    if state.price_day:
        moved = dice(seed, PRICE_SALT, product.key, place, state.price_day)
        cents *= 1 + (0.01 + 0.07 * moved[0] / 255) * (1 if moved[1] < 128 else -1)
    if state.lure:
        cents = state.lure.cents * 0.12
    whole = max(19, round(cents))
    if hits(draws, 22, supplier.habits.no_price):
        return ""
    if hits(draws, 24, supplier.habits.negative_price):
        whole = -whole
    text = price_text(whole, supplier.price_form, supplier.comma)
    return f"{'ab' if supplier.style.language == GERMAN else 'from'} {text}" if hits(draws, 26, supplier.habits.from_price) else text


def price_text(cents: int, form: str, comma: bool) -> str:
    """'1.299,90', '1299.90', '1299.90 EUR', '1.299,90 €' or '129990', as the supplier writes it."""
    if form == "cents":
        return str(cents)
    sign, (whole, rest) = "-" if cents < 0 else "", divmod(abs(cents), 100)
    if comma:
        return f"{sign}{whole:,}".replace(",", ".") + f",{rest:02d}" + (" €" if form == "currency" else "")
    return f"{sign}{whole}.{rest:02d}" + (" EUR" if form == "currency" else "")


def _quantity(product: Product, supplier: Supplier, draws: bytes) -> str:
    if draws[28] > 225 or product.goods.unit not in CONTENT_UNITS:
        return f"{product.pack}" if product.pack > 1 and draws[28] <= 225 and supplier.style.packs == "pcs" else ""
    return content_text(product.amount, product.goods.unit, product.pack, supplier.style.amounts, "times")


SENTENCES = (
    ("{noun} by {brand}: {specs}.", "{brand} {line}, {specs}. Ships within 24 hours.", "{specs}. Model {model}."),
    ("{noun} von {brand}: {specs}.", "{brand} {line}: {specs}. Lieferung in 2-3 Werktagen.", "{specs}. Art. {model}."),
)


def _description(product: Product, supplier: Supplier, draws: bytes) -> str:
    if draws[29] > 150:
        return ""
    language = supplier.style.language
    noun, specs = product.noun[language], ", ".join(spec[language] for spec in product.specs)
    line = product.main or product.line
    return SENTENCES[language][draws[30] % 3].format(noun=noun, brand=product.brand, line=line, specs=specs, model=product.code or line)


def _spoil(text: str, supplier: Supplier, draws: bytes) -> str:
    """Text as it arrives after someone's export: HTML entities, mojibake."""
    if hits(draws, 32, supplier.habits.entities):
        text = text.replace("&", "&amp;").replace('"', "&quot;").replace("ü", "&uuml;").replace("ö", "&ouml;").replace(" - ", " &ndash; ").replace("'", "&#39;")
    if hits(draws, 34, supplier.habits.mojibake):
        for right, wrong in MOJIBAKE:
            text = text.replace(right, wrong)
    return text


@cache
def category_levels(goods: Goods, supplier: Supplier) -> tuple[str, ...]:
    """The supplier's own category of some goods, level by level."""
    if supplier.paths == "code":
        return (f"{goods.department[:3].upper()}-{1 + sum(map(ord, goods.key)) % 89:02d}", goods.english_path[-1].upper())
    path = goods.german_path if supplier.paths.startswith("german") else goods.english_path
    return path[-1:] if supplier.paths.endswith("leaf") else path
