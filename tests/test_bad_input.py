"""Bad input as a user meets it: one clear sentence, exit code 2 or 3, and the catalog as it was."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from conftest import Ran, endcap

SETTINGS = """\
feeds:
  acme:
    file: "{date}/acme.csv%s"
    format: csv
    options: {encoding: utf-8, delimiter: ";"}
    fields: {id: Nr, title: Name, brand: Marke, price: %s}
"""
GOOD = "Nr;Name;Marke;Preis\n" + "".join(f"{number};Kettle K{number} steel;Acme;{20 + number}.50\n" for number in range(40))
HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>please sign in</body></html>"
BROKEN = {
    "an HTML page": (HTML, "HTML"),
    "a header only": (b"Nr;Name;Marke;Preis\n", "header"),
    "nothing": (b"", "empty"),
    "a spreadsheet": (b"PK\x03\x04" + b"\0" * 60, "zip"),
}


def make(folder: Path, content: bytes, *, date: str = "2026-01-01", suffix: str = "", price: str = "Preis") -> Path:
    (folder / "inbox" / date).mkdir(parents=True, exist_ok=True)
    (folder / "endcap.yaml").write_text(SETTINGS % (suffix, price), encoding="utf-8")
    (folder / "inbox" / date / f"acme.csv{suffix}").write_bytes(content)
    return folder


def one_sentence(ran: Ran) -> str:
    lines = [line for line in ran.stderr.splitlines() if line.startswith("endcap: ")]
    assert len(lines) == 1 and "Traceback" not in ran.stderr, ran.stderr
    return lines[0]


def state(folder: Path) -> tuple[str, list[str]]:
    listed = endcap("snapshot", "list", "--dir", folder, "--json").json["snapshots"]
    current = next((row["snapshot_id"] for row in listed if row["current"]), "")
    products = folder / "catalog" / "published" / current / "products.jsonl"
    return current, products.read_text(encoding="utf-8").splitlines() if current else []


@pytest.mark.parametrize("kind", BROKEN)
def test_on_a_first_delivery_it_ends_with_code_2_and_no_catalog(kind: str, tmp_path: Path) -> None:
    content, word = BROKEN[kind]
    ran = endcap("run", "--dir", make(tmp_path, content))
    assert ran.code == 2
    assert word.lower() in one_sentence(ran).lower() and "acme" in one_sentence(ran)
    assert state(tmp_path) == ("", [])


@pytest.mark.parametrize("kind", [kind if place < 1 else pytest.param(kind, marks=pytest.mark.nightly) for place, kind in enumerate(BROKEN)])
def test_on_a_live_catalog_it_is_held_with_code_3_and_the_products_stay(kind: str, tmp_path: Path) -> None:
    content, word = BROKEN[kind]
    assert endcap("run", "--dir", make(tmp_path, GOOD.encode())).code == 0
    _before, products = state(tmp_path)
    ran = endcap("run", "--dir", make(tmp_path, content, date="2026-01-02"))
    assert ran.code == 3
    held = next(line for line in ran.stdout.splitlines() if line.startswith("HELD"))
    assert "acme" in held and word.lower() in ran.stdout.lower()
    assert state(tmp_path)[1] == products and len(products) == 40


def test_a_truncated_gz(tmp_path: Path) -> None:
    whole = gzip.compress(GOOD.encode() * 30)
    ran = endcap("run", "--dir", make(tmp_path, whole[: len(whole) // 2], suffix=".gz"))
    assert ran.code == 2
    assert "acme.csv.gz" in one_sentence(ran) or "acme" in one_sentence(ran)
    assert any(word in one_sentence(ran) for word in ("cut", "truncated", "ends before"))
    assert state(tmp_path) == ("", [])


def test_a_mapping_to_a_column_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    ran = endcap("run", "--dir", make(tmp_path, GOOD.encode(), price="Pries"))
    sentence = one_sentence(ran)
    assert ran.code == 2 and all(word in sentence for word in ("acme", "price", "'Pries'", "'Preis'"))
    assert state(tmp_path) == ("", [])


def test_a_missing_file_and_a_missing_date(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    ran = endcap("run", "--dir", tmp_path, "--date", "2026-09-09")
    assert ran.code == 2 and "2026-09-09" in one_sentence(ran) and "2026-01-01" in one_sentence(ran)
    (tmp_path / "endcap.yaml").write_text((SETTINGS % ("", "Preis")).replace("{date}/acme.csv", "acme.csv"), encoding="utf-8")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "acme.csv" in one_sentence(ran)


def test_all_mistakes_of_the_settings_are_reported_at_once(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    (tmp_path / "endcap.yaml").write_text(
        "colour: red\npolicy: {acept: 0.9, review: 2}\nfeeds:\n  acme:\n    file: a.csv\n    format: csvv\n    fields: {id: Nr}\n    gaurds: {}\n",
        encoding="utf-8",
    )
    ran = endcap("run", "--dir", tmp_path)
    sentence = one_sentence(ran)
    assert ran.code == 2
    for word in (
        "colour: unknown setting",
        "did you mean 'accept'",
        "policy.review",
        "feeds.acme.fields.title: missing",
        "did you mean 'guards'",
        "did you mean 'csv'",
    ):
        assert word in sentence, sentence
    assert sentence.startswith("endcap: 6 mistakes")


def test_no_settings_file_and_unreadable_yaml(tmp_path: Path) -> None:
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "endcap init" in one_sentence(ran)
    (tmp_path / "endcap.yaml").write_text("feeds: [", encoding="utf-8")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "YAML" in one_sentence(ran)
    (tmp_path / "endcap.yaml").write_text("name: a\nname: b\n", encoding="utf-8")
    assert "given twice" in one_sentence(endcap("run", "--dir", tmp_path))


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    file = tmp_path / "endcap.yaml"
    file.write_text("database: nonsense://x\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "operational database" in one_sentence(ran)


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    from endcap import settings
    from endcap.ops.home import Home

    make(tmp_path, GOOD.encode())
    with Home(settings.read(tmp_path)).writer():
        ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "another run" in one_sentence(ran)
    assert endcap("run", "--dir", tmp_path).code == 0


def test_demo_does_not_empty_a_folder_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    ran = endcap("demo", "--dir", tmp_path)
    assert ran.code == 2 and "not made by" in one_sentence(ran)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_demo_in_which_people_answered_is_not_made_again(copy_of_demo: Path) -> None:
    assert "1 answers kept" in endcap("review", "--dir", copy_of_demo, "--limit", "1", given="y\n").stdout
    database = copy_of_demo / "catalog" / "ops.sqlite"
    ran = endcap("demo", "--dir", copy_of_demo)
    assert ran.code == 2 and "1 answers and proposals of people" in one_sentence(ran)
    assert database.exists() and (copy_of_demo / "endcap.yaml").exists()
    for beside in copy_of_demo.glob("catalog/ops.sqlite-*"):
        beside.unlink()
    database.write_bytes(b"no database at all" * 100)
    ran = endcap("demo", "--dir", copy_of_demo)
    assert ran.code == 2 and "nobody can tell" in one_sentence(ran)
    assert database.read_bytes().startswith(b"no database")


def test_a_delivery_in_the_wrong_place_is_named(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    (tmp_path / "inbox" / "2026-01-01" / "acme.csv").rename(tmp_path / "inbox" / "acme.csv")
    for verb in ("plan", "run"):
        said = " ".join(endcap(verb, "--dir", tmp_path).stdout.split())
        assert "1 file of the inbox belongs to no feed, acme.csv for one; feeds ask for {date}/acme.csv" in said
    (tmp_path / "inbox" / "acme.csv").unlink()
    assert "no feed" not in endcap("plan", "--dir", tmp_path).stdout + endcap("run", "--dir", tmp_path).stdout


def test_an_older_delivery_does_not_undo_a_newer_one(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode(), date="2026-01-05")
    assert endcap("run", "--dir", tmp_path).code == 0
    before = state(tmp_path)
    make(tmp_path, GOOD.replace("steel", "copper").encode(), date="2026-01-03")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 0 and "passed over" in ran.stderr
    assert state(tmp_path) == before


def test_init_and_feed_add_make_a_catalog_that_runs(tmp_path: Path) -> None:
    catalog = tmp_path / "mine"
    assert endcap("init", catalog).code == 0
    assert endcap("init", catalog).code == 2
    sample = catalog / "inbox" / "acme.csv"
    sample.write_text(GOOD, encoding="utf-8")
    added = endcap("feed", "add", sample, "--dir", catalog, "--write")
    assert added.code == 0, added.stderr
    ran = endcap("run", "--dir", catalog, "--json")
    assert ran.code == 0, ran.stderr
    assert ran.json["runs"][0]["catalog"]["products"] == 40


def test_a_missing_inbox_and_a_file_where_a_folder_belongs(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    ran = endcap("run", "--dir", tmp_path, "--inbox", tmp_path / "nowhere")
    assert ran.code == 2 and "no inbox" in one_sentence(ran) and "nowhere" in one_sentence(ran)
    file = tmp_path / "a-file"
    file.write_text("x")
    for arguments in (("demo", "--dir", file), ("init", file), ("run", "--dir", tmp_path, "--home", file)):
        ran = endcap(*arguments)
        assert ran.code == 2 and "a-file" in one_sentence(ran)


def test_a_lost_database_is_noticed_and_not_begun_anew(tmp_path: Path) -> None:
    assert endcap("run", "--dir", make(tmp_path, GOOD.encode())).code == 0
    database = tmp_path / "catalog" / "ops.sqlite"
    database.rename(tmp_path / "kept.sqlite")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "database" in one_sentence(ran) and "s0001-" in one_sentence(ran)
    assert endcap("doctor", "--dir", tmp_path).code == 1
    (tmp_path / "kept.sqlite").replace(database)
    assert "nothing new" in endcap("run", "--dir", tmp_path).stdout


def test_doctor_reads_what_decides(tmp_path: Path) -> None:
    assert endcap("run", "--dir", make(tmp_path, GOOD.encode())).code == 0
    assert "in force and readable" in endcap("doctor", "--dir", tmp_path).stdout
    (file,) = (tmp_path / "catalog" / "models").glob("*/model.json")
    file.write_text("{}", encoding="utf-8")
    ran = endcap("doctor", "--dir", tmp_path)
    assert ran.code == 1 and file.parent.name in ran.stdout


def test_a_deleted_lake_file_ends_in_a_sentence(tmp_path: Path) -> None:
    assert endcap("run", "--dir", make(tmp_path, GOOD.encode())).code == 0
    next((tmp_path / "catalog" / "lake" / "offers").glob("*.parquet")).unlink()
    ran = endcap("products", "--dir", tmp_path)
    assert ran.code == 1 and "snapshot verify" in one_sentence(ran)
    assert "is missing" in endcap("snapshot", "verify", "--dir", tmp_path).stdout


@pytest.mark.nightly
def test_a_taxonomy_is_checked_at_every_run_and_a_new_one_is_taken_in(tmp_path: Path) -> None:
    assert endcap("run", "--dir", make(tmp_path, GOOD.encode())).code == 0
    file = tmp_path / "endcap.yaml"
    file.write_text("taxonomy: house.csv\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "house.csv" in one_sentence(ran)
    (tmp_path / "house.csv").write_text("category,words\nKitchen > Kettles,kettle|Wasserkocher\n", encoding="utf-8")
    assert "another taxonomy" in endcap("plan", "--dir", tmp_path).stdout
    ran = endcap("run", "--dir", tmp_path, "--json")
    assert ran.json["runs"][0]["changed"]
    assert "Kettles" in endcap("products", "--dir", tmp_path, "--limit", "1", "--json").stdout
    assert not endcap("run", "--dir", tmp_path, "--json").json["runs"][0]["changed"]


def test_a_taxonomy_without_any_offer_makes_no_snapshot_again_and_again(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    (tmp_path / "house.csv").write_text("category,words\nKitchen > Kettles,kettle\n", encoding="utf-8")
    file = tmp_path / "endcap.yaml"
    file.write_text("taxonomy: house.csv\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for _time in range(2):
        assert not endcap("run", "--dir", tmp_path, "--inbox", tmp_path / "empty", "--json").json["runs"][0]["changed"]
    assert state(tmp_path) == ("", [])


def test_a_silent_feed_and_one_no_longer_named_are_noticed(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    file = tmp_path / "endcap.yaml"
    second = "".join(f"  {line[2:]}\n" if line else "" for line in (SETTINGS % ("", "Preis")).split("\n")[1:]).replace("acme", "bolt")
    file.write_text(file.read_text(encoding="utf-8") + second, encoding="utf-8")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 0 and "no delivery of bolt on 2026-01-01" in ran.stdout
    file.write_text((SETTINGS % ("", "Preis")).replace("acme:", "other:"), encoding="utf-8")
    make_second = tmp_path / "inbox" / "2026-01-02"
    make_second.mkdir()
    (make_second / "acme.csv").write_text(GOOD, encoding="utf-8")
    assert "40 offers of acme are still served" in endcap("run", "--dir", tmp_path).stdout


def test_a_pattern_that_is_none_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    make(tmp_path, GOOD.encode())
    file = tmp_path / "endcap.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("brand: Marke", "brand: {path: Marke, ignore: '('}"), encoding="utf-8")
    ran = endcap("run", "--dir", tmp_path)
    assert ran.code == 2 and "feeds.acme.fields.brand" in one_sentence(ran) and "regular expression" in one_sentence(ran)


def test_words_that_are_not_utf_8_end_in_a_sentence(tmp_path: Path) -> None:
    folder = make(tmp_path, GOOD.encode())
    assert endcap("run", "--dir", folder).code == 0
    ran = endcap("switch", "off", "*", "--reason", "gr\udcf6\udcdfer", "--dir", folder)
    assert ran.code == 2 and "is not UTF-8" in one_sentence(ran)
    assert endcap("switch", "list", "--dir", folder, "--json").json["switches"] == []
