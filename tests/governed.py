"""A small catalog to govern, a replay that gives the verdict it is told, and the words of a proposal."""

from __future__ import annotations

import csv
import json
import sys
import types
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_suspicion import catalog

from endcap import flow, schema, settings
from endcap.lake.tables import table_of
from endcap.learn.planned import Plan
from endcap.learn.promote import deciding
from endcap.match import Model
from endcap.ops.home import Home, snapshot_id_of

KINDS = ("kettle", "toaster", "desk lamp", "mixer", "grill", "fan")
HYPOTHESIS = "We believe that asking later for everything will let fewer questions be asked because few of them were links."


def small_catalog(folder: Path, count: int = 40) -> Home:
    """Two feeds that sell the same goods, run once."""
    one = [{"id": f"x{n}", "title": f"Acme {KINDS[n % 6]} steel AC{1000 + 37 * n}", "mpn": "", "price": f"{20 + n}.50"} for n in range(count)]
    two = [{**row, "title": f"{KINDS[n % 6]} AC-{1000 + 37 * n} by Acme"} for n, row in enumerate(one)]
    made = catalog(folder, {"one": one, "two": two})
    flow.run(made)
    return Home(made)


def another_model(home: Home, seed: int = 8) -> str:
    """A model that scores as the champion does and has another id."""
    good = Model.load(home.model_folder(str(home.champion("match"))))
    second = replace(good, settings={"seed": seed})
    second.save(home.model_folder(second.model_id))
    return second.model_id


def head_of(**changed: Any) -> dict[str, Any]:
    """The fields of a right proposal."""
    return {
        "kind": "threshold", "title": "ask later", "hypothesis": HYPOTHESIS, "change": "ask from .5 on", "metric": "match_rate", "smallest_effect": 1.0,
        "guard_rails": ["override_rate"], "plan": "replay", "needed": 256, "rollback_trigger": "escapes rise", "set": {"review": 0.5}, **changed,
    }  # fmt: skip


@dataclass
class Replay:
    """Stands for the replay on audited decisions: it keeps a trial and gives the verdict it was told."""

    verdict: str = "SHIP"
    metric: str = "match_rate"
    asked: list[tuple[str, str]] = field(default_factory=list)

    def validate(self, home: Home, artefact_kind: str, artefact: str, *, seed: int, plan: Plan) -> Any:
        assert (plan.needed, plan.metric) == (256, self.metric), "as the proposals of these tests ask for"
        self.asked.append((artefact_kind, artefact))
        manifest, lake = home.manifest(), home.lake()
        told: dict[str, Any] = {
            **dict.fromkeys((one.name for one in schema.arrow_schema(schema.Trial)), ""), "trial_id": f"t{len(self.asked)}-{artefact}", "challenger": artefact,
            "champion": deciding(home, artefact_kind)[0], "labels": 300, "data_version": snapshot_id_of(manifest), "figures_json": json.dumps({"seed": seed}),
            "verdict": self.verdict, "run": manifest.run, "gone": False,
        }  # fmt: skip
        trial = schema.Trial(**told)
        append = lake.append  # the one writer of trials is learn; this stands for it
        append(schema.Trial, table_of(schema.Trial, [trial]))
        home.amend(lake.pinned(parent=manifest.parent, run=manifest.run, models=manifest.models, override_sequence=manifest.override_sequence))
        words = {"words": f"the verdict is {self.verdict}", "verdict": self.verdict, "figures": {"plan": {"claims": []}}}
        return types.SimpleNamespace(trial_id=trial.trial_id, verdict=self.verdict, data_version=trial.data_version, to_json=lambda: words)


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Replay:
    """The replay of `endcap.learn.validate` is this one."""
    double, module = Replay(), types.ModuleType("endcap.learn.validate")
    module.validate = double.validate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "endcap.learn.validate", module)
    return double


def deliver(root: Path, day: str, first: int, last: int) -> None:
    """Goods from `first` to `last` as both feeds send them on a day."""
    for feed, words in (("one", "Acme {kind} steel AC{code}"), ("two", "{kind} AC-{code} by Acme")):
        file = root / "inbox" / day / f"{feed}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "title", "price", "category"])
            for n in range(first, last):
                kind = KINDS[n % 6]
                writer.writerow([f"x{n}", words.format(kind=kind, code=1000 + 37 * n), f"{20 + n}.50", category_of(kind)])


def category_of(kind: str) -> str:
    return f"{'Light' if kind == 'desk lamp' else 'Kitchen'} > {kind}"


def catalog_with_categories(root: Path) -> Home:
    """Two feeds of 120 goods in two categories, run once: enough to learn from without a label."""
    deliver(root, "2026-03-01", 0, 120)
    (root / "taxonomy.csv").write_text("category,words\n" + "".join(f"{category_of(kind)},{kind}\n" for kind in KINDS), encoding="utf-8")
    fields = {name: name for name in ("id", "title", "price", "category")}
    feeds = {name: {"file": f"{{date}}/{name}.csv", "format": "csv", "supplier": f"House {name}", "fields": fields} for name in ("one", "two")}
    (root / "endcap.yaml").write_text(yaml.safe_dump({"cores": 1, "taxonomy": "taxonomy.csv", "feeds": feeds}), encoding="utf-8")
    made = settings.read(root)
    flow.run(made)
    return Home(made)
