"""Two stories of docs/stories.md, played whole: a supplier moves its part numbers and the catalog mends; a bad promotion goes back by itself."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tried import decisions_of, home_of, spoken_of

from endcap.govern import loops, promotion, proposals

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def stories() -> ModuleType:
    if str(DOCS) not in sys.path:
        sys.path.insert(0, str(DOCS))
    return importlib.import_module("stories")


@pytest.mark.nightly
def test_a_supplier_moves_its_part_numbers_and_the_catalog_mends(stories: ModuleType, tmp_path: Path) -> None:
    played = list(stories.play(stories.story(1), tmp_path))
    assert [(one.command, one.printed) for one in played if not one.agrees] == []
    # What the words leave open: the rate falls and is back, the gate holds and then lets through, all three loops are closed.
    (before, fallen), (again, back) = ([float(rate) for rate in re.findall(r"([\d.]+) % after run", line)] for line in triages(played))
    assert fallen == again < before - 2 and back > before - 1
    assert [one.printed.split(": ")[1][:4] for one in played if " validate " in one.command] == ["HOLD", "SHIP"]
    home = home_of(tmp_path / "world")
    assert [row["state"] for row in loops.all_loops(home)] == ["closed"] * 3
    assert loops.verify(home, 3, actor="tester")["replay"]["verified"]
    (proposal,) = proposals.all_proposals(home)
    assert (proposal["state"], proposal["verdict"], home.champion("mapping")) == ("promoted", "SHIP", proposal["artefact"])


@pytest.mark.nightly
def test_a_bad_promotion_goes_back_by_itself_and_its_postmortem_is_opened(stories: ModuleType, copy_of_demo: Path) -> None:
    home = home_of(copy_of_demo)
    before, changed = decisions_of(home, set()), False
    for one in stories.play(stories.story(2), copy_of_demo.parent, made=True):
        assert one.agrees, one
        changed = changed or decisions_of(home, set()) != before
    # It had decided otherwise, and now all of which nobody spoke is as it was, to the byte.
    said, now = spoken_of(home), decisions_of(home, set())
    assert changed and [key for key, row in before.items() if key[0] not in said and now.get(key) != row] == []
    assert promotion.watch(home) is None, "nothing flips to and fro"


def triages(played: list[Any]) -> list[str]:
    """The first line of each triage."""
    return [one.printed.splitlines()[0] for one in played if " triage " in one.command]


def test_only_words_are_compared(stories: ModuleType) -> None:
    told = stories.Played("endcap run", "run 3: 70.7 % after 12\n  offers", "run 4: 1,070 % after 9 offers\n")
    assert told.agrees and not stories.Played("endcap run", "run 3: HOLD", "run 3: SHIP").agrees
    assert all(stories.story(number).count("```console") > 5 for number in (1, 2))
