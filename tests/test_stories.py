"""Two stories told whole by the command line: a supplier moves its part numbers and the catalog mends; a bad promotion goes back by itself."""

from __future__ import annotations

import csv
import io
import re
from itertools import takewhile
from pathlib import Path

import pytest
from conftest import Ran, endcap
from tried import audited, challenger, decisions_of, home_of, spoken_of, truth_of

from endcap.ops.home import Home
from endcap.review.override import answer
from endcap.review.queue import waiting

FEED, DAY, NEXT_DAY = "elektro-hansa", "2026-04-01", "2026-04-02"
MOVED = {"Herstellernummer": "Hersteller-Art.-Nr.", "EAN": "EAN-Code"}
MAPPING = f"""---
kind: mapping
title: part numbers moved
scope: feed:{FEED}
hypothesis: We believe that reading part numbers and EANs from their new columns for {FEED} will bring its match rate back because it fell when they moved.
change: mpn from 'Hersteller-Art.-Nr.', gtin from 'EAN-Code'
metric: match_rate
smallest_effect: 1
guard_rails: [override_rate]
plan: replay on the cases that people judged
needed: 30
rollback_trigger: the match rate of the feed falls further
set:
  {FEED}: {{mpn: "Hersteller-Art.-Nr.", gtin: "EAN-Code"}}
---
"""


def deliver(folder: Path, date: str, prices_by: float) -> None:
    """The feed's last delivery once more, its columns renamed and its prices moved a little."""
    source = sorted((folder / "inbox").glob(f"*/{FEED}.csv"))[0]
    head, *rows = list(csv.reader(io.StringIO(source.read_bytes().decode("cp1252"), newline=""), delimiter=";"))
    price = head.index("Preis brutto")
    for row in rows:
        if len(row) == len(head) and row[price].replace(",", "").isdecimal():
            row[price] = f"{float(row[price].replace(',', '.')) * prices_by:.2f}".replace(".", ",")
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerows([[MOVED.get(name, name) for name in head], *rows])
    target = folder / "inbox" / date / f"{FEED}.csv"
    target.parent.mkdir()
    target.write_bytes(out.getvalue().encode("cp1252"))


class Told:
    """Commands as they are run, each of which must end well."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.names: dict[str, str] = {}  # what the page writes for an argument

    def __call__(self, *arguments: str | Path) -> Ran:
        ran = endcap(*arguments)
        assert ran.code == 0, ran.stderr
        words = [str(one) for one in takewhile(lambda one: not str(one).startswith("--"), arguments)]
        self.commands.append(" ".join(self.names.get(word, word) for word in words))
        return ran


def on_the_page(heading: str) -> list[str]:
    """The commands of one story in docs/stories.md, without their options."""
    page = (Path(__file__).parents[1] / "docs" / "stories.md").read_text(encoding="utf-8")
    story = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line.split(" --")[0] for line in re.findall(r"^\$ endcap (.*)$", story, flags=re.M)]


def answer_all(home: Home, truth: dict[str, str]) -> int:
    """A person, simulated, who answers what waits of the feed by the truth."""
    with home.connect() as con:
        items = [item for item in waiting(con, home.manifest().override_sequence) if item.offer_id.startswith(FEED)]
    for item in items:
        right = [place for place, one in enumerate(item.candidates, start=1) if truth.get(one.counterpart_offer_id or "") == truth.get(item.offer_id)]
        action = "new" if not right else "same" if right[0] == 1 else "other"
        answer(home, item, action, actor="simulated", candidate=right[0] if right else 1)
    return len(items)


@pytest.mark.xdist_group("stories")
def test_a_supplier_moves_its_part_numbers_and_the_catalog_mends(tmp_path: Path) -> None:
    folder, done = tmp_path / "world", Told()
    endcap("demo", "--dir", folder, "--offers", "2600", "--days", "1", "--json")
    home, truth = home_of(folder), truth_of(home_of(folder))
    with home.connect() as con:
        linked = dict(con.execute(
            "SELECT offer_id, counterpart_offer_id FROM decisions WHERE kind = 'product' AND action = 'linked' AND offer_id LIKE ? ORDER BY 1", [f"{FEED}:%"]
        ).fetchall())  # fmt: skip
    # The delivery comes with its columns renamed: an alarm says which field fell, triage how much that costs and why.
    deliver(folder, DAY, 1.0)
    told = done("run", "--dir", folder)
    assert "drift (fill_mpn)" in told.stdout and "feed_data" in told.stdout
    triage = done("triage", FEED, "--dir", folder, "--json").json
    fallen = triage["rate_before"] - triage["rate_after"]
    assert fallen > 0.02 and triage["causes"][0]["cause"] == "feed_data" and "mpn is stated by 0 %" in triage["causes"][0]["action"]
    # Somebody reports one of the offers that lost their place; people answer what waits.
    lost = next(offer for cause in triage["causes"] for offer in cause["example_offer_ids"] if offer in linked and truth[offer] == truth[linked[offer]])
    done.names |= {lost: "OFFER", linked[lost]: "OTHER", str(folder / "mapping.md"): "mapping.md"}
    done("report", lost, linked[lost], "--expect", "same", "--title", "no longer in its product", "--dir", folder)
    assert answer_all(home, truth) + audited(home, 200) > 210
    # A proposal, accepted, validated on what was judged, promoted.
    (folder / "mapping.md").write_text(MAPPING, encoding="utf-8")
    number = str(done("propose", folder / "mapping.md", "--dir", folder, "--json").json["proposal_id"])
    done("proposals", "accept", number, "--dir", folder)
    verdict = done("validate", number, "--dir", folder, "--json").json
    assert verdict["verdict"] == "SHIP", verdict
    done("promote", number, "--dir", folder)
    # The next delivery is read by it: the rate is back, and the case comes out right without anybody's answer.
    deliver(folder, NEXT_DAY, 1.01)
    done("run", "--dir", folder)
    assert done("triage", FEED, "--dir", folder, "--json").json["rate_after"] >= triage["rate_before"] - 0.01
    loop = done("loops", "verify", "1", "--dir", folder, "--json").json
    assert loop["replay"]["verified"], loop
    closed = done("loops", "close", "1", "--cause", "feed_data", "--comment", "the columns had moved", "--dir", folder, "--json").json
    assert closed["state"] == "closed"
    assert done("proposals", "show", number, "--dir", folder, "--json").json["state"] == "promoted"
    assert done.commands == on_the_page("A supplier moves its part numbers")


@pytest.mark.xdist_group("demo")
def test_a_bad_promotion_goes_back_by_itself_and_its_postmortem_is_opened(copy_of_demo: Path) -> None:
    home, done = home_of(copy_of_demo), Told()
    before = decisions_of(home, set())
    bad = challenger(home, wrong=0.9, times=4)
    done.names[bad] = "MODEL"
    opened = done("promote", bad, "--break-glass", "--reason", "the old one is too careful", "--dir", copy_of_demo)
    assert "postmortem 1" in opened.stdout
    done("run", "--dir", copy_of_demo)
    assert decisions_of(home, set()) != before
    # People judge decisions at random; at the next run what was promoted is taken out of force, and all is as it was, to the byte.
    audited(home, 150)
    ran = done("run", "--dir", copy_of_demo)
    assert "taken out of force" in ran.stderr
    said, now = spoken_of(home), decisions_of(home, set())
    assert [key for key, row in before.items() if key[0] not in said and now.get(key) != row] == []
    history = done("model", "history", "--dir", copy_of_demo, "--json").json["promotions"]
    assert (history[0]["action"], history[0]["actor"]) == ("rollback", "endcap")
    told = done("postmortem", "2", "--dir", copy_of_demo)
    assert bad in told.stdout and "audited decisions" in told.stdout
    again = done("run", "--dir", copy_of_demo)
    assert "taken out of force" not in again.stderr, "nothing flips to and fro"
    assert done.commands == on_the_page("A bad promotion goes back by itself")
