"""A run that looks perfect and is wrong is said to be so, and held where the policy says so."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from conftest import Demo, endcap
from fastapi.testclient import TestClient
from sqlalchemy import text

from endcap import flow, settings
from endcap.decide.suspicion import find_suspicions
from endcap.ops import access
from endcap.ops.home import Home
from endcap.problems import BadInput, Held
from endcap.serve.app import make_app
from endcap.serve.gate import HomeGate

KINDS = ("kettle", "toaster", "lamp", "mixer", "grill", "fan")


def catalog(folder: Path, feeds: dict[str, list[dict[str, Any]]], **policy: Any) -> settings.Catalog:
    """A catalog whose feeds delivered these rows (id, title, mpn, gtin, price) on one day."""
    for name, rows in feeds.items():
        (folder / "inbox" / "2026-03-01").mkdir(parents=True, exist_ok=True)
        with (folder / "inbox" / "2026-03-01" / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, ["id", "title", "mpn", "gtin", "price"])
            writer.writeheader()
            writer.writerows(rows)
    fields = {"id": "id", "title": "title", "mpn": "mpn", "gtin": "gtin", "price": "price"}
    given = {
        "feeds": {name: {"file": f"{{date}}/{name}.csv", "format": "csv", "fields": fields} for name in feeds},
        "cores": 1, "policy": policy,
    }  # fmt: skip
    (folder / "endcap.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    return settings.read(folder)


def titles(count: int, shift: int = 0) -> list[str]:
    return [f"Acme {KINDS[n % len(KINDS)]} {chr(65 + n % 26)}{chr(65 + n // 26 % 26)}{1000 + 37 * (n + shift)}" for n in range(count)]


def rows(names: list[str], **columns: Any) -> list[dict[str, Any]]:
    return [{"id": f"x{n}", "title": name, "price": 10 + n, **{key: make(n) for key, make in columns.items()}} for n, name in enumerate(names)]


def notices(result: list[flow.RunResult]) -> str:
    return "\n".join(result[-1].notices)


@pytest.mark.parametrize("letters", ["", "ART-"])
def test_part_numbers_that_only_count_hold_the_run_until_a_person_lets_it_through(tmp_path: Path, letters: str) -> None:
    names = titles(150)
    feeds = {"left": rows(names, mpn=lambda n: f"{letters}{n}"), "right": rows([f"{name} new" for name in names], mpn=lambda n: f"{letters}{n}")}
    given = catalog(tmp_path, feeds)
    with pytest.raises(Held, match=r"source_key.*part numbers.*for example.*--accept source_key"):
        flow.run(given)
    assert flow.plan(given)["deliveries"], "nothing was taken in"
    done = flow.run(given, accept=["source_key"])
    assert done[0].snapshot_id and "source_key" in notices(done)


def test_the_command_line_holds_with_exit_code_3_and_names_the_way_on(tmp_path: Path) -> None:
    names = titles(150)
    catalog(tmp_path, {"left": rows(names, mpn=lambda n: f"{n}"), "right": rows(names, mpn=lambda n: f"{n}")})
    held = endcap("run", "--dir", tmp_path)
    assert held.code == 3 and "--accept source_key" in held.stderr
    assert endcap("run", "--dir", tmp_path, "--accept", "source_key").code == 0


def test_real_part_numbers_and_gtins_raise_no_suspicion_of_keys(tmp_path: Path) -> None:
    names = titles(150)
    codes = [name.split()[-1] for name in names]
    feeds = {
        "left": rows(names, mpn=lambda n: codes[n]),
        "right": rows(
            [f"{name} {['new', 'boxed', 'blue'][n % 3]}" for n, name in enumerate(names[:75])] + titles(75, shift=999),
            mpn=lambda n: codes[n] if n < 75 else f"Z{n}",
        ),
    }
    assert "source_key" not in notices(flow.run(catalog(tmp_path, feeds)))


def test_two_deliveries_of_the_same_records_are_noticed(tmp_path: Path) -> None:
    names = titles(150)
    done = flow.run(catalog(tmp_path, {"left": rows(names), "right": rows(names)}))
    assert "nearly_all_linked" in notices(done) and "same records" in notices(done)


def test_one_title_for_all_is_noticed(tmp_path: Path) -> None:
    done = flow.run(catalog(tmp_path, {"left": rows(titles(150)), "right": rows(["Product"] * 150)}))
    assert "equal_titles" in notices(done) and "150 of 150 offers of right" in notices(done)


def test_a_feed_that_lists_products_again_is_noticed(tmp_path: Path) -> None:
    """Two sellers of one feed have the same GTIN; the other feed lists each once, and states no GTIN that would hold the three together."""
    stated = [f"400638133{n:03d}" for n in range(150)]
    checked = [code + str(-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(code)) % 10) for code in stated]
    names = titles(150)
    again = [*rows(names, gtin=lambda n: checked[n]), *({**row, "id": f"y{row['id']}", "gtin": checked[n]} for n, row in enumerate(rows(names[:20])))]
    feeds = {"market": again, "shop": rows(names)}
    said = notices(flow.run(catalog(tmp_path, feeds)))
    assert "suspicious (repeated_gtin): 40 of 170 offers of market share their GTIN with another offer of market. If several" in said
    assert "offers of shop share" not in said
    assert offers_of_products(tmp_path) == {2: 150, 1: 20}
    said = notices(flow.run(catalog(tmp_path, feeds, marketplaces=["market"])))
    assert "repeated_gtin" not in said
    assert offers_of_products(tmp_path) == {3: 20, 2: 130}


def test_a_marketplace_that_is_no_feed_is_a_mistake_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"policy.marketplaces: there is no feed 'markt', did you mean 'market'\?"):
        catalog(tmp_path, {"market": rows(titles(5))}, marketplaces=["markt"])


def offers_of_products(folder: Path) -> dict[int, int]:
    """How many products have so many offers."""
    with Home(settings.read(folder)).connect() as con:
        counted = con.sql("SELECT offers, count(*) FROM (SELECT count(*) AS offers FROM decisions WHERE kind = 'product' GROUP BY product_id) GROUP BY ALL")
        return dict(counted.fetchall())


def test_a_gtin_that_stands_for_none_is_noticed(tmp_path: Path) -> None:
    feeds = {name: rows(titles(150, shift=shift), gtin=lambda n: "4006381333931" if n < 30 else "") for name, shift in (("left", 0), ("right", 500))}
    assert "placeholder_gtin" in notices(flow.run(catalog(tmp_path, feeds)))
    with Home(settings.read(tmp_path)).connect() as con:
        reasons = con.sql("SELECT reason FROM decisions WHERE kind = 'product'").fetchall()
    assert len(reasons) == 300 and not [reason for (reason,) in reasons if "GTIN" in reason]
    home = Home(settings.read(tmp_path))
    token = access.make_token(home.engine, "sync", "viewer", days=1, actor="test")
    client = TestClient(make_app(home, HomeGate(home)), base_url="http://localhost", headers={"authorization": f"Bearer {token}"})
    asked = {"title": titles(1)[0]}
    plain, placeholder, own = (client.post("/api/v1/match", json=asked | more).json() for more in ({}, {"gtin": "4006381333931"}, {"gtin": "4012345678901"}))
    assert plain == placeholder != own, "it is as if none were named"


def test_the_policy_says_what_holds(tmp_path: Path) -> None:
    names = titles(150)
    given = catalog(tmp_path, {"left": rows(names), "right": rows(names)}, hold_on=["nearly_all_linked"])
    with pytest.raises(Held, match="nearly_all_linked"):
        flow.run(given)


def test_wrong_names_end_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="hold_on"):
        catalog(tmp_path, {"left": rows(titles(3))}, hold_on=["everything"])
    with pytest.raises(BadInput, match="no suspicion 'everything'"):
        flow.run(catalog(tmp_path, {"left": rows(titles(3))}), accept=["everything"])


def test_equal_likeness_of_all_links_is_noticed() -> None:
    con = duckdb.connect()
    con.execute("""
        CREATE TABLE offers AS SELECT side || n AS offer_id, side AS feed, 'title ' || side || n AS title, side || n AS source_id, NULL AS mpn, NULL AS gtin
        FROM range(150) t(n), (VALUES ('a'), ('b')) s(side);
        CREATE TABLE decisions AS SELECT 'b' || n AS offer_id, 'product' AS kind, 'linked' AS action, 'P' || n AS product_id, 'a' || n AS counterpart_offer_id,
               'machine' AS decided_by, 'alike' AS reason_code, 0.9 AS confidence FROM range(150) t(n)
    """)
    names = [suspicion.name for suspicion in find_suspicions(con, settings.Policy())]
    assert names == ["nearly_all_linked", "equal_scores"]


def test_many_variants_linked_to_few_offers_are_not_nearly_all() -> None:
    con = duckdb.connect()
    con.execute("""
        CREATE TABLE offers AS SELECT 'big' || n AS offer_id, 'big' AS feed, 'large ' || n AS title, 'b' || n AS source_id, NULL AS mpn, NULL AS gtin
        FROM range(1000) t(n) UNION ALL SELECT 'small' || n, 'small', 'little ' || n, 's' || n, NULL, NULL FROM range(200) t(n);
        CREATE TABLE decisions AS SELECT 'big' || n AS offer_id, 'product' AS kind, 'linked' AS action, 'P' || n % 30 AS product_id,
               'small' || n % 30 AS counterpart_offer_id, 'machine' AS decided_by, 'alike' AS reason_code, 0.5 + n / 1000 AS confidence FROM range(300) t(n)
    """)
    assert find_suspicions(con, settings.Policy()) == [], "300 links reach 30 of the 200 offers"


def test_the_demo_raises_no_suspicion(demo: Demo) -> None:
    given = settings.read(demo.folder)
    with Home(given).connect() as con:
        assert find_suspicions(con, given.policy) == []


def test_a_number_of_the_trade_in_titles_that_share_nothing_else_holds_the_run(tmp_path: Path) -> None:
    words = (
        "rapid",
        "silent",
        "folding",
        "digital",
        "heavy",
        "mini",
        "wooden",
        "ultra",
        "blender",
        "scarf",
        "pillow",
        "drill",
        "carpet",
        "helmet",
        "lamp",
        "fan",
    )

    def named(n: int, seed: int) -> str:
        dice = random.Random(f"{seed} {n}")
        return f"{' '.join(dice.sample(words, 3))} Art-{50_000 + 37 * n}"

    feeds = {name: rows([named(n, seed) for n in range(200)]) for seed, name in enumerate(("left", "right"))}
    with pytest.raises(Held, match=r"unlike_titles.*share \d+% of their words.*a key links them"):
        flow.run(catalog(tmp_path, feeds))
    codes = [f"A{n}-77" for n in range(120)]
    assert "unlike_titles" not in notices(flow.run(catalog(tmp_path / "codes", {name: rows(codes) for name in ("left", "right")})))


def test_a_small_feed_that_is_linked_whole_is_noticed(tmp_path: Path) -> None:
    names = titles(60)
    done = flow.run(catalog(tmp_path, {"left": rows(names), "right": rows([f"{name} new" for name in names])}))
    assert "60 offers of the smaller of left and right are linked" in notices(done)


@pytest.mark.parametrize(("links", "named"), [(10, ["few_linked"]), (0, ["none_linked"]), (20, [])])
def test_two_feeds_that_sell_different_things_are_noticed(links: int, named: list[str]) -> None:
    con = duckdb.connect()
    con.execute(f"""
        CREATE TABLE offers AS SELECT side || n AS offer_id, side AS feed, 'title ' || side || n AS title, side || n AS source_id, NULL AS mpn, NULL AS gtin
        FROM range(300) t(n), (VALUES ('a'), ('b')) s(side);
        CREATE TABLE decisions AS SELECT 'b' || n AS offer_id, 'product' AS kind, 'linked' AS action, 'P' || n AS product_id, 'a' || n AS counterpart_offer_id,
               'machine' AS decided_by, 'alike' AS reason_code, 0.9 + n / 1000 AS confidence FROM range({links}) t(n)
    """)
    assert [one.name for one in find_suspicions(con, settings.Policy())] == named


def test_a_run_says_that_the_audit_is_broken(tmp_path: Path) -> None:
    given = catalog(tmp_path, {"left": rows(titles(150)), "right": rows(titles(150, shift=70))})
    assert "audit" not in notices(flow.run(given))
    with Home(given).engine.begin() as connection:
        connection.execute(text("INSERT INTO users (name, role, team, made_at, locked) VALUES ('eve', 'admin', 't', '2026', false)"))
    shutil.copytree(tmp_path / "inbox" / "2026-03-01", tmp_path / "inbox" / "2026-03-02")
    assert "the audit is broken: what the audit sealed was changed: users eve was made past the product" in notices(flow.run(given))
