"""A bad champion is rolled back: everything it decided is as it was before, to the byte, and ids keep their meaning."""

from __future__ import annotations

from pathlib import Path

from tried import challenger, content, home_of, places, products

from endcap import flow
from endcap.govern.promotion import break_glass as promote
from endcap.govern.promotion import rollback


def test_after_there_and_back_decisions_pairs_and_products_are_what_they_were(copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    before, served, lay = content(home), products(home), places(home)
    promote(home, challenger(home, wrong=0.4), actor="tester", reason="a test")
    flow.run(home.catalog)
    moved = {offer_id for offer_id, place in places(home).items() if place != lay[offer_id]}
    assert len(moved) > 50 and content(home) != before
    founded = set(products(home)) - set(served)
    rollback(home, actor="tester", reason="a test")
    flow.run(home.catalog)
    assert content(home) == before
    assert products(home, set(served)) == served
    assert {products(home)[product_id][0] for product_id in founded} <= {"merged", "gone"}, "what was founded meanwhile redirects or is gone"
    (again,) = flow.run(home.catalog)
    assert not again.changed
