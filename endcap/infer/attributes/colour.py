"""The colour, by its name in English, German, French or Spanish, as one English word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from endcap.infer import folding
from endcap.infer.attributes import Found, OfferText
from endcap.units import find_quantities

if TYPE_CHECKING:
    from endcap.infer.known import Known

VERSION = 2
DETAILS = ("colour", "color", "farbe", "couleur", "kleur", "colore", "base_colour")
_NAMES = {
    "black": "black schwarz schwarze schwarzer schwarzes noir noire negro negra",
    "white": "white weiss weisse weisser weisses blanc blanche blanco blanca",
    "grey": "grey gray grau graue grauer graues gris grise charcoal graphite graphit",
    "anthracite": "anthracite anthrazit",
    "silver": "silver silber silbern silberne argent argente plata plateado",
    "gold": "gold golden goldene dore doree dorado",
    "red": "red rot rote roter rotes rouge rojo roja",
    "burgundy": "burgundy bordeaux maroon weinrot bordo",
    "pink": "pink rosa rosafarben fuchsia",
    "magenta": "magenta",
    "light magenta": "hellmagenta",
    "rose": "rose",
    "orange": "orange naranja",
    "yellow": "yellow gelb gelbe gelber gelbes jaune amarillo amarilla",
    "green": "green grun grune gruner grunes gruen gruene vert verte verde",
    "olive": "olive khaki oliv",
    "turquoise": "turquoise turkis tuerkis teal aqua petrol",
    "cyan": "cyan",
    "light cyan": "hellcyan",
    "photo black": "fotoschwarz photoschwarz",
    "blue": "blue blau blaue blauer blaues bleu bleue azul hellblau lightblue",
    "navy": "navy dunkelblau marine marineblau",
    "purple": "purple lila violett violet violette morado",
    "brown": "brown braun braune brauner braunes marron brun brune bronze mocha",
    "beige": "beige creme cream ivory ecru elfenbein nude tan taupe",
    "sand": "sand sandfarben",
    "terracotta": "terracotta terrakotta",
    "transparent": "transparent durchsichtig klar clear",
    "multicolour": "multicolour multicolor multicoloured bunt mehrfarbig multi",
}
CANONICAL: dict[str, str] = {word: colour for colour, words in _NAMES.items() for word in words.split()}
# Names of drinks, food, metals and brands too: a title alone proves little.
_AMBIGUOUS_NAMES = (
    "orange rose gold golden golden silver olive cream creme mocha sand clear klar nude multi marine tan aqua bronze "
    "graphite braun marron brown negro multi petrol argent blanc blanco rouge noir vert"
)
_AMBIGUOUS = frozenset(_AMBIGUOUS_NAMES.split())
_TWO_WORDS = {
    ("navy", "blue"): "navy", ("dark", "blue"): "navy", ("rose", "gold"): "rose gold",
    ("light", "cyan"): "light cyan", ("light", "magenta"): "light magenta", ("photo", "black"): "photo black",
}  # fmt: skip
_GROCERY_UNITS = ("g", "ml", "wash")
_MOST_GROCERY = 6000  # in g or ml: a bag of 40 l or a bicycle of 9 kg is no food
_TOKEN = re.compile(r"[^\W\d_]+")
_SURE, _LIKELY, _DOUBTFUL = 0.96, 0.85, 0.4


def find(offer: OfferText, known: Known) -> list[Found]:
    """Colours in the supplier's colour field, else in the title; food and drink make a title's colour doubtful."""
    stated = offer.detail(DETAILS)
    if stated:
        found = _colours(stated[1], stated[0])
        if found:
            return [_one(found, _SURE)]
    brand_words = folding.words(offer.brand) if offer.brand else []
    found = [seen for seen in _colours(offer.title, "title") if seen[4] not in brand_words]
    if not found:
        return []
    sure = [one for one in found if one[4] not in _AMBIGUOUS]
    confidence = _LIKELY if sure else _DOUBTFUL
    if any(quantity.unit in _GROCERY_UNITS and quantity.value <= _MOST_GROCERY for quantity in find_quantities(offer.title)):
        if not sure:
            return []
        confidence *= 0.6
    return [_one(sure or found, round(confidence, 4))]


_Seen = tuple[str, str, int, int, str]  # colour, field, start, end, word


def _colours(text: str, field: str) -> list[_Seen]:
    found: list[_Seen] = []
    previous: tuple[str, int] | None = None
    for match in _TOKEN.finditer(text):
        word = folding.folded(match.group())
        colour = CANONICAL.get(word)
        pair = _TWO_WORDS.get((previous[0], word)) if previous and previous[1] >= match.start() - 1 else None
        if pair and previous:
            found = [one for one in found if one[2] != previous[1] - len(previous[0])]
            found.append((pair, field, previous[1] - len(previous[0]), match.end(), f"{previous[0]} {word}"))
        elif colour:
            found.append((colour, field, match.start(), match.end(), word))
        previous = (word, match.end())
    return found


def _one(found: list[_Seen], confidence: float) -> Found:
    """The colours as one value: two different ones are 'black/white'; more are multicolour."""
    names = list(dict.fromkeys(one[0] for one in found))
    value = names[0] if len(names) == 1 else "/".join(sorted(names)) if len(names) == 2 else "multicolour"
    sureness = confidence if len(names) == 1 else confidence * 0.85
    return Found(value, None, round(sureness, 4), found[0][1], found[0][2], found[-1][3])


CASES: list[tuple[dict[str, Any], str | None]] = [
    ({"title": "Laufshirt Herren dunkelblau, Gr. L"}, "navy"),
    ({"title": "Mug", "details": {"colour": "Schwarz matt"}}, "black"),
    ({"title": "Trainers Black/White"}, "black/white"),
    ({"title": "Phone 128GB Rose Gold"}, "rose gold"),
    ({"title": "Borscht mit Roter Bete"}, "red"),
    ({"title": "Redmond keyboard"}, None),
]
