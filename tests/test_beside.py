"""What a founded product is shown beside in an audit: the offer that a search through all of them would find, without such a search."""

from __future__ import annotations

import pytest
from conftest import Demo

from endcap import settings
from endcap.ops.home import Home
from endcap.review import audit

# The search itself, over every offer: by GTIN, part number and words, then by the letters of the 50 best.
EVERY_OFFER = """
    WITH asked AS (SELECT *, string_split(lower(title), ' ') AS words FROM offers WHERE offer_id = $offer_id),
    near AS (
        SELECT o.offer_id, d.product_id, coalesce(o.gtin = a.gtin, false) AS same_gtin, coalesce(lower(o.mpn) = lower(a.mpn), false) AS same_mpn, o.title,
               a.title AS asked_title, len(list_intersect(string_split(lower(o.title), ' '), a.words)) / greatest(len(a.words), 1) AS shared
        FROM offers o, asked a JOIN decisions d ON d.offer_id = o.offer_id AND d.kind = 'product'
        WHERE o.offer_id <> a.offer_id AND d.product_id IS NOT NULL AND d.product_id IS DISTINCT FROM $product_id
        ORDER BY same_gtin DESC, same_mpn DESC, shared DESC, o.offer_id LIMIT 50)
    SELECT offer_id, product_id FROM near
    ORDER BY same_gtin DESC, same_mpn DESC, jaro_winkler_similarity(lower(title), lower(asked_title)) + shared DESC, offer_id LIMIT 1
"""


@pytest.mark.parametrize("count", [80, pytest.param(100_000, marks=pytest.mark.nightly)])
def test_it_is_the_likest_offer_of_another_product(demo: Demo, count: int) -> None:
    with Home(settings.read(demo.folder)).connect() as con:
        founded = [one for one in audit.order_of_draw(con, 10_000, seed=7) if one.decided == "new_product"][:count]
        titles = audit.Titles(con)
        for one in founded:
            found = audit.beside(con, one, titles)
            expected = con.execute(EVERY_OFFER, {"offer_id": one.offer_id, "product_id": one.product_id}).fetchall()
            assert found is not None and [(found.counterpart_offer_id, found.product_id)] == expected, one
        assert len(founded) >= 80 and titles.likest(con, "no:such", None) is None
        linked = next(one for one in audit.order_of_draw(con, 10_000, seed=7) if one.decided == "linked")
        assert audit.beside(con, linked, titles) is linked
