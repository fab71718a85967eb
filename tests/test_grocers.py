"""Six real grocers over three dates, as docs/grocers.md tells it (real data; skipped where it is missing)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Ran, endcap

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "grocers"
DATES = ("2023-06-05", "2023-07-12", "2023-08-01")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("groceries")


@pytest.fixture(scope="module")
def runs(shared: Callable[[str], Path], home: Path) -> list[Ran]:
    inbox = shared("data/replay")
    return [endcap("run", "--dir", EXAMPLE, "--inbox", inbox, "--home", home, "--date", date, "--json") for date in DATES]


@pytest.mark.nightly
def test_two_real_feeds_run_over_three_dates_and_add_up(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """The two smallest of the six, that the others' minutes are left to the night."""
    described = yaml.safe_load((EXAMPLE / "endcap.yaml").read_text(encoding="utf-8"))
    described["feeds"] = {name: described["feeds"][name] for name in ("hofer-at", "penny-at")}
    (tmp_path / "endcap.yaml").write_text(yaml.safe_dump({**described, "home": str(tmp_path / "home")}), encoding="utf-8")
    for named in EXAMPLE.iterdir():
        if named.is_file() and named.name != "endcap.yaml":
            shutil.copy(named, tmp_path)
    for date in DATES:
        ran = endcap("run", "--dir", tmp_path, "--inbox", shared("data/replay"), "--date", date, "--json")
        assert ran.code == 0, ran.stderr
        for delivery in deliveries(ran).values():
            assert delivery["read"] == delivery["accepted"] + delivery["quarantined"] > 0
            assert delivery["accepted"] == delivery["offers"] + delivery["repeated"]
    assert endcap("products", "--in", "penny-at", "--dir", tmp_path, "--json").json["count"] > 400
    assert endcap("snapshot", "verify", "--dir", tmp_path, "--json").json["faults"] == []


def deliveries(ran: Ran) -> dict[str, dict[str, Any]]:
    return {delivery["feed"]: delivery for delivery in ran.json["runs"][0]["deliveries"]}


@pytest.mark.nightly
def test_only_the_last_date_holds_a_delivery(runs: list[Ran]) -> None:
    assert [ran.code for ran in runs] == [0, 0, 3]
    for ran in runs:
        for delivery in deliveries(ran).values():
            assert delivery["read"] == delivery["accepted"] + delivery["quarantined"]
            assert delivery["accepted"] == delivery["offers"] + delivery["repeated"] or delivery["state"] == "held"


@pytest.mark.nightly
def test_how_many_offers_each_shop_has(runs: list[Ran]) -> None:
    first = {feed: delivery["offers"] for feed, delivery in deliveries(runs[0]).items()}
    assert first == {"dm-at": 15_873, "dm-de": 17_963, "hofer-at": 3_213, "penny-at": 536, "rewe-de": 10_000}
    assert any("10,000" in warning for warning in deliveries(runs[0])["rewe-de"]["warnings"])


@pytest.mark.nightly
def test_bipa_s_repeats_are_counted_and_not_doubled(runs: list[Ran]) -> None:
    bipa = deliveries(runs[1])["bipa-at"]
    assert (bipa["read"], bipa["repeated"], bipa["offers"]) == (27_844, 14_053, 13_616)


@pytest.mark.nightly
def test_penny_s_brand_is_no_brand(runs: list[Ran], home: Path) -> None:
    assert any(warning.startswith("brand is not a brand") for warning in deliveries(runs[0])["penny-at"]["warnings"])
    found = endcap("products", "--in", "penny-at", "--limit", "2000", "--dir", EXAMPLE, "--home", home, "--json").json["products"]
    assert found and not [product for product in found if "preis" in (product["brand"] or "").lower()]


@pytest.mark.nightly
def test_rewe_is_held_in_words_and_its_last_good_offers_stay(runs: list[Ran], home: Path) -> None:
    rewe = deliveries(runs[2])["rewe-de"]
    assert rewe["state"] == "held"
    assert "14,185 records" in rewe["reason"] and "0 % state a price" in rewe["reason"] and "endcap release rewe-de 2023-08-01" in rewe["reason"]
    served = endcap("products", "--in", "rewe-de", "--dir", EXAMPLE, "--home", home, "--json").json["count"]
    assert served > 9_000
    assert {feed for feed, delivery in deliveries(runs[2]).items() if delivery["state"] == "accepted"} == {"bipa-at", "dm-at", "dm-de", "hofer-at", "penny-at"}


@pytest.mark.nightly
def test_which_products_dm_at_dm_de_and_rewe_share(runs: list[Ran], home: Path) -> None:
    assert runs[2].json["runs"][0]["overlap"][0]["feeds"] == ["dm-at", "dm-de"]
    both = endcap("products", "--in", "dm-at", "--in", "dm-de", "--dir", EXAMPLE, "--home", home, "--json").json
    assert both["count"] > 5_000
    three = endcap("products", "--in", "dm-at", "--in", "dm-de", "--in", "rewe-de", "--dir", EXAMPLE, "--home", home, "--json").json
    assert 20 < three["count"] < both["count"]
    assert all({"dm-at", "dm-de", "rewe-de"} <= set(product["feeds"]) for product in three["products"])
