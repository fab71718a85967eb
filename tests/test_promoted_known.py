"""What is known of categories and attributes is promoted like a model: the next run reads by it, touches only what it changes, and goes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tried import content, home_of
from typer.testing import CliRunner

from endcap.cli import app
from endcap.infer.known import Known
from endcap.ops.home import Home


def one(home: Home, query: str, *given: Any) -> Any:
    with home.connect() as con:
        return con.execute(query, list(given)).fetchall()


def served_of(home: Home) -> Any:
    """Products without the runs in which their values came to be."""
    return one(home, "SELECT * EXCLUDE (run, gone, values) FROM products ORDER BY product_id")


def done(*arguments: str | Path) -> str:
    ran = CliRunner().invoke(app, [str(one) for one in arguments])
    assert ran.exit_code == 0, ran.exception
    return ran.stdout


def test_promoted_knowledge_is_read_by_and_goes_back(copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    before, served, old = content(home), served_of(home), home.manifest().models["infer"]
    ((colour, n),) = one(home, "SELECT value, count(*) FROM facts WHERE attribute = 'colour' GROUP BY 1 ORDER BY 2 DESC LIMIT 1")
    ((feed, path, was),) = one(home, """
        SELECT o.feed, o.category_path, f.value FROM offers o JOIN facts f ON f.offer_id = o.offer_id AND f.attribute = 'category'
        WHERE o.category_path IS NOT NULL AND f.evidence_field = 'category_path' GROUP BY ALL ORDER BY count(*) DESC, 1, 2 LIMIT 1""")  # fmt: skip
    # People call that colour by a name of their own, and that path of a supplier means another category.
    known = Known.load(home.model_folder(old))
    paths = [category.path for category in known.categories.house]
    target = next(number for number, name in enumerate(paths) if name != was)
    meanings = {**(known.categories.meanings or {}), (feed, path): ((target, 0.99),)}
    taught = replace(known, aliases={"colour": {colour: "house colour"}}, categories=replace(known.categories, meanings=meanings))
    taught.save(home.model_folder(taught.known_id))
    done("promote", taught.known_id, "--kind", "infer", "--break-glass", "--reason", "people say so", "--dir", copy_of_demo)
    assert "other knowledge of categories" in done("plan", "--dir", copy_of_demo)
    done("run", "--dir", copy_of_demo)
    run = home.manifest().run
    assert home.manifest().models["infer"] == taught.known_id
    assert one(home, "SELECT count(*) FROM facts WHERE attribute = 'colour' AND value = ?", "house colour") == [(n,)]
    moved = one(
        home,
        "SELECT DISTINCT d.action, d.value FROM decisions d JOIN offers o USING (offer_id) WHERE d.kind = 'category' AND o.feed = ? AND o.category_path = ?",
        feed,
        path,
    )
    assert ("accepted", paths[target]) in moved
    # Nothing was compared anew, no offer was moved, and of all others nothing was written.
    assert content(home)["pairs"] == before["pairs"] and [row[0] for row in served_of(home)] == [row[0] for row in served]
    assert one(home, "SELECT count(*) FROM decisions WHERE kind = 'product' AND run = ?", run) == [(0,)]
    ((written,), (offers,)) = one(home, "SELECT count(DISTINCT offer_id) FROM facts WHERE run = ? UNION ALL SELECT count(*) FROM offers", run)
    assert 0 < written < offers / 2
    assert "nothing new" in done("run", "--dir", copy_of_demo)
    # Back to what a run had learnt by itself.
    done("rollback", "--kind", "infer", "--reason", "they did not", "--dir", copy_of_demo)
    done("run", "--dir", copy_of_demo)
    assert content(home) == before and served_of(home) == served and home.manifest().models["infer"] == old
    assert "nothing new" in done("run", "--dir", copy_of_demo)
