"""The brand, from the supplier's brand field where it is one, else from the title by the brands known from all feeds.

'L'Oréal' and 'L OREAL' are one brand, written as most suppliers write it. Sentences, prices and placeholders are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from endcap.infer.attributes import Found, OfferText
from endcap.infer.brands import Mention, brand_key

if TYPE_CHECKING:
    from endcap.infer.known import Known

VERSION = 1
SEVERAL_FEEDS = 0.97
MOST_SURE = 0.99


def find(offer: OfferText, known: Known) -> list[Found]:
    """The stated brand and every known brand that the title mentions, each with its confidence."""
    mentions = known.brands.mentions(offer.title)
    stated = _stated(offer, mentions, known)
    mentioned = [_mentioned(mention, known) for mention in mentions]
    return [*stated, *(found for found in mentioned if not stated or found.value != stated[0].value)]


def _stated(offer: OfferText, mentions: list[Mention], known: Known) -> list[Found]:
    key = brand_key(offer.brand)
    if not key or offer.brand is None:
        return []
    brand = known.brands.by_key.get(key)
    trust = known.brands.trust.get(offer.feed, 0.5)
    name = brand.name if brand else " ".join(offer.brand.split())
    if brand and brand.feeds > 1:
        confidence = SEVERAL_FEEDS
    else:
        offers = brand.offers if brand else 1
        confidence = trust * (offers + 0.5) / (offers + 1)
    if any(mention.key == key and mention.first for mention in mentions):
        confidence = 1 - (1 - confidence) * 0.4
    elif any(mention.key == key for mention in mentions) and (not brand or brand.feeds == 1):
        # A word of the title in the brand field of one feed alone is often the name of the thing.
        confidence *= 0.7
    return [Found(name, None, round(min(confidence, MOST_SURE), 4), "brand", 0, len(offer.brand), learnt=True)]


def _mentioned(mention: Mention, known: Known) -> Found:
    brand = known.brands.by_key[mention.key]
    support = 1.0 if brand.feeds > 1 else brand.offers / (brand.offers + 1)
    confidence = round((brand.at_start if mention.first else brand.inside) * support, 4)
    return Found(brand.name, None, confidence, "title", mention.start, mention.end, extractor="brand.title", learnt=True)


CASES: list[tuple[dict[str, Any], str | None]] = [
    ({"title": "Shower gel 250 ml", "brand": "Norlys Care"}, "Norlys Care"),
    ({"title": "Shower gel 250 ml", "brand": "Lowest price in 30 days: 1.39"}, None),
    ({"title": "Shower gel 250 ml", "brand": "n/a"}, None),
    ({"title": "Shower gel 250 ml"}, None),
]
