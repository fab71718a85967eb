"""Labels: what is known of pairs of offers, from people, gold sets and shared GTINs, each with who said it and how far it can be trusted.

A label's weight is 2p - 1, where p is the chance that it is right; as log-odds, weights of several labels of a pair add up. Audits judge
models, so they have weight 0 and teach none. Who is held back teaches nothing: their labels end, as if they had never answered.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from sqlalchemy import insert, select

from endcap import schema
from endcap.decide.promised import HELD
from endcap.learn.reliability import PRIOR, Rates, flagged, rates_of
from endcap.learn.votes import VOTES
from endcap.ops import audit
from endcap.ops.database import now, writing
from endcap.ops.home import Home, snapshot_id_of
from endcap.ops.names import OWN
from endcap.ops.tables import BLIND_ASKS, OVERRIDES, REVIEWER_HOLDS
from endcap.problems import BadInput

PEOPLE = ("override", "second")
TEACHING = (*PEOPLE, "gold", "shared_gtin")
GOLD_WEIGHT, MOST_WEIGHT = 0.98, 0.98
# What two suppliers print on a pack is often right, but any answer outweighs it; it never outnumbers the answers by more than this.
SILVER_WEIGHT, SILVER_PER_ANSWER = 0.1, 2
# One deed on many offers (a split, a bulk answer) teaches no more than so many answers would.
MOST_OF_ONE_DEED = 20.0
TITLES_ALIKE = 0.35
GOLD_COLUMNS = ("left_id", "right_id", "same")
MOST_GOLD = 200_000

_TEACHERS = f"SELECT * FROM ({VOTES}) WHERE actor NOT IN ({HELD}) ORDER BY left_id, right_id, source, number"
_GOLD = f"SELECT * FROM labels WHERE source = 'gold' AND actor NOT IN ({HELD}) ORDER BY left_id, right_id, source_id"
_GOLD_ASKED = f"""
    SELECT asked_of AS actor, (action IN ('same', 'other')) AS said, agrees FROM blind_asks
    WHERE purpose = 'gold' AND agrees IS NOT NULL AND asked_of NOT IN ({HELD}) ORDER BY ask_id
"""
# Only where brand and title leave no doubt that the two could be one.
_SILVER = f"""
    SELECT p.left_id, p.right_id FROM pairs p JOIN offers l ON l.offer_id = p.left_id JOIN offers r ON r.offer_id = p.right_id
    WHERE l.gtin = r.gtin AND l.feed <> r.feed AND p.conflict IS NULL
      AND (coalesce(l.brand, '') = '' OR coalesce(r.brand, '') = '' OR lower(trim(l.brand)) = lower(trim(r.brand)))
      AND jaccard(lower(l.title), lower(r.title)) >= {TITLES_ALIKE}
    ORDER BY md5(p.left_id || ' ' || p.right_id), p.left_id, p.right_id LIMIT $most
"""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A pair of which people or sources say both; `words` name who says what.

    `chance_same` is the chance that the two are the same, by what teaches; None where nothing does, since audits judge and teach none.
    """

    left_id: str
    right_id: str
    chance_same: float | None
    words: str


def labels_now(con: duckdb.DuckDBPyConnection, run: int) -> pa.Table:
    """Every label that holds now, sorted by key; `con` shows a catalog's lake and operational tables. Contradictions are kept, each with its weight."""
    votes = con.sql(_TEACHERS).to_arrow_table().to_pylist()
    gold = con.sql(_GOLD).to_arrow_table().to_pylist()
    rates = rates_of_teachers(con, votes, gold)
    rows = [_of_vote(vote, rates.get(vote["actor"], PRIOR), run) for vote in votes]
    rows += [{**row, "run": run} for row in gold]
    answers = sum(row["source"] in PEOPLE for row in rows)
    silver = con.execute(_SILVER, {"most": SILVER_PER_ANSWER * answers}).fetchall()
    rows += [_row(left, right, True, SILVER_WEIGHT, "shared_gtin", "gtin", OWN, "", run) for left, right in silver]
    rows.sort(key=lambda row: (row["left_id"], row["right_id"], row["source"], row["source_id"]))
    return pa.Table.from_pylist(rows, schema=schema.arrow_schema(schema.Label))


def rates_of_teachers(con: duckdb.DuckDBPyConnection, votes: list[dict[str, Any]], gold: list[dict[str, Any]]) -> dict[str, Rates]:
    """How often each person errs, from who agrees with whom and from gold; `votes` and `gold` are rows of VOTES and of gold labels."""
    truth = {(row["left_id"], row["right_id"]): bool(row["same"]) for row in gold}
    told = [((vote["left_id"], vote["right_id"]), str(vote["actor"]), bool(vote["same"])) for vote in votes]
    asked = [(str(actor), bool(said), bool(said) == bool(agrees)) for actor, said, agrees in con.execute(_GOLD_ASKED).fetchall()]
    return rates_of(told, truth, asked)


def taught(labels: pa.Table) -> pa.Table:
    """One row a pair of labels that teach: left_id, right_id, same, weight, at (the newest), people (whether a person or gold set spoke), by key.

    Labels of a pair count together as independent witnesses; where they cancel each other the pair teaches nothing and is left out.
    """
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in labels.to_pylist():
        if row["source"] in TEACHING and row["weight"] > 0:
            pairs[row["left_id"], row["right_id"]].append(row)
    rows = []
    for (left, right), found in sorted(pairs.items()):
        odds = _odds(found)
        weight = round(abs(float(np.tanh(odds / 2))), 6)
        if weight > 1e-6:
            people = any(row["source"] != "shared_gtin" for row in found)
            rows.append({"left_id": left, "right_id": right, "same": odds > 0, "weight": weight, "at": max(row["at"] for row in found), "people": people})
    columns = {"left_id": pa.string(), "right_id": pa.string(), "same": pa.bool_(), "weight": pa.float64(), "at": pa.string(), "people": pa.bool_()}
    return pa.Table.from_pylist(rows, schema=pa.schema(list(columns.items())))


def contradictions(labels: pa.Table) -> list[Contradiction]:
    """Pairs whose labels, audits among them, say both, the most undecided first."""
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in labels.to_pylist():
        pairs[row["left_id"], row["right_id"]].append(row)
    found = []
    for (left, right), rows in pairs.items():
        if len({row["same"] for row in rows}) == 2:
            told = [f"{row['actor']} ({row['source'].replace('_', ' ')}) says {'same' if row['same'] else 'different'}" for row in rows]
            chance = round(float(1 / (1 + np.exp(-_odds(rows)))), 4) if any(row["weight"] for row in rows) else None
            found.append(Contradiction(left, right, chance, "; ".join(told)))
    return sorted(found, key=lambda one: (1.0 if one.chance_same is None else abs(one.chance_same - 0.5), one.left_id, one.right_id))


def add_gold(home: Home, file: Path, *, actor: str) -> int:
    """Add a CSV of pairs whose truth is known (left_id, right_id, same: 1 or 0) as gold labels; out: how many are new.

    Hold the catalog with `home.writer()`. Raises BadInput where there is no catalog, or a row cannot be read or names an unknown offer.
    """
    manifest = home.manifest()
    if not manifest.run:
        raise BadInput("there is no catalog yet", where=str(home.path), todo="run `endcap run` first")
    told, digest = _read_gold(file)
    lake, at = home.lake(), now()
    with home.connect() as con:
        named = sorted({one for pair in told for one in pair})
        con.register("named", pa.table({"offer_id": pa.array(named, pa.string())}))
        unknown = [row[0] for row in con.execute("SELECT offer_id FROM named ANTI JOIN offers USING (offer_id) ORDER BY 1").fetchall()]
        if unknown:
            words = f"{len(unknown):,} offers of the gold set are not in the catalog, the first {unknown[0]!r}"
            raise BadInput(words, where=str(file), todo="write offer ids as `endcap review` and the pages show them: feed:id")
        source_id = f"{digest}@{snapshot_id_of(manifest)}"
        rows = [_row(left, right, same, GOLD_WEIGHT, "gold", source_id, actor, at, manifest.run) for (left, right), same in sorted(told.items())]
        table = pa.Table.from_pylist(rows, schema=schema.arrow_schema(schema.Label))
        con.register("told", table)
        fresh = con.sql("SELECT * FROM told ANTI JOIN labels USING (left_id, right_id, source, source_id) ORDER BY ALL").to_arrow_table()
    lake.append(schema.Label, fresh)
    home.amend(lake.pinned(parent=manifest.parent, run=manifest.run, models=manifest.models, override_sequence=manifest.override_sequence))
    with writing(home.engine) as connection:
        audit.record(connection, actor, "labels add", file.name, {"pairs": len(rows), "new": fresh.num_rows, "sha256": digest})
    return fresh.num_rows


def hold(home: Home, person: str, *, held: bool, actor: str, reason: str) -> None:
    """Hold a person's answers back from teaching and judging models, or let them teach again; the answers stay in force either way.

    Raises BadInput where nobody of that name answered, or nothing would change.
    """
    if not reason.strip():
        raise BadInput("a reason is missing", where="labels", todo="say why with --reason; it is kept")
    with writing(home.engine) as connection:
        answered = connection.execute(select(OVERRIDES.c.override_id).where(OVERRIDES.c.actor == person).limit(1)).first()
        asked = connection.execute(select(BLIND_ASKS.c.ask_id).where(BLIND_ASKS.c.asked_of == person).limit(1)).first()
        newest = select(REVIEWER_HOLDS.c.held).where(REVIEWER_HOLDS.c.person == person).order_by(REVIEWER_HOLDS.c.hold_id.desc()).limit(1)
        is_held = bool(connection.execute(newest).scalar())
        if answered is None and asked is None and person not in _gold_givers(home):
            raise BadInput(f"{person!r} has answered nothing", where="labels", todo="see who has with `endcap labels`")
        if is_held == held:
            raise BadInput(f"the labels of {person!r} {'are held back already' if held else 'teach already'}", where="labels", todo="see `endcap labels`")
        key = connection.execute(insert(REVIEWER_HOLDS).values(person=person, held=held, actor=actor, reason=reason, at=now())).inserted_primary_key
        sealed = audit.seals_of(connection, REVIEWER_HOLDS, REVIEWER_HOLDS.c.hold_id == (key[0] if key else 0))
        audit.record(connection, actor, "labels revert" if held else "labels restore", person, {"reason": reason, "access": sealed})


def hold_flagged(home: Home) -> list[str]:
    """Where the settings say so, hold back everybody whose gold items show too many errors; out: whom. A person can let them teach again.

    Asked before anything is judged by people's answers: a run, the watch over what was promoted, a validation, a confirmation, a training.
    """
    if not home.catalog.learning.hold_flagged:
        return []
    with home.connect() as con:
        spared = {str(person) for (person,) in con.execute("SELECT DISTINCT person FROM reviewer_holds").fetchall()}
        found = {person: words for person, words in flagged(con).items() if person not in spared}
    return [person for person, words in found.items() if _held_now(home, person, words)]


def _held_now(home: Home, person: str, words: str) -> bool:
    """Hold somebody back; False where another program just did."""
    try:
        hold(home, person, held=True, actor=OWN, reason=words)
    except BadInput:
        return False
    return True


def held_words(people: Sequence[str]) -> list[str]:
    """What a person should know of those who were just held back."""
    todo = "see `endcap labels`; `endcap labels restore` lets them count again"
    return [f"the answers of {person} teach and judge nothing from now on, since too many gold items were wrong: {todo}" for person in people]


def _gold_givers(home: Home) -> set[str]:
    return set(home.lake().current(schema.Label, "source = 'gold'", "*")["actor"].to_pylist())


def _of_vote(vote: Mapping[str, Any], rates: Rates, run: int) -> dict[str, Any]:
    wrong = rates.false_same if vote["same"] else rates.false_different
    missed = rates.false_different if vote["same"] else rates.false_same
    right = (1 - missed) / (1 - missed + wrong)
    weight = min(max(2 * right - 1, 0.0), MOST_WEIGHT) * min(1.0, MOST_OF_ONE_DEED / vote["of_deed"])
    source = "audit" if vote["audited"] else vote["source"]
    weight = 0.0 if vote["audited"] else round(weight, 4)
    return _row(vote["left_id"], vote["right_id"], bool(vote["same"]), weight, source, str(vote["number"]), vote["actor"], vote["at"], run)


def _row(left: str, right: str, same: bool, weight: float, source: str, source_id: str, actor: str, at: str, run: int) -> dict[str, Any]:
    told = {"left_id": left, "right_id": right, "same": same, "weight": weight, "source": source, "source_id": source_id}
    return told | {"actor": actor, "at": at, "run": run, "gone": False}


def _odds(rows: list[dict[str, Any]]) -> float:
    """Log-odds that the two are the same, all labels taken together; summed in an order of its own, so that row order changes nothing."""
    parts = [2 * np.arctanh(row["weight"]) * (1 if row["same"] else -1) for row in rows]
    return float(sum(sorted(parts)))


def _read_gold(file: Path) -> tuple[dict[tuple[str, str], bool], str]:
    """(whether the same by pair, short hash of the file)."""
    try:
        content = file.read_bytes()
        rows = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"the gold set cannot be read: {error}", where=str(file), todo="name a CSV file in UTF-8 with left_id, right_id, same") from None
    missing = [name for name in GOLD_COLUMNS if not rows or name not in rows[0]]
    if missing or len(rows) > MOST_GOLD:
        words = f"the gold set lacks {', '.join(missing)}" if missing else f"the gold set holds more than {MOST_GOLD:,} rows"
        raise BadInput(words, where=str(file), todo="write a CSV with the columns left_id, right_id, same (1 or 0)")
    told: dict[tuple[str, str], bool] = {}
    for number, row in enumerate(rows, start=2):
        left, right, same = (str(row[name] or "").strip() for name in GOLD_COLUMNS)
        pair = (min(left, right), max(left, right))
        if not left or not right or left == right or same not in ("0", "1"):
            raise BadInput(f"line {number} of the gold set names no pair with 1 or 0", where=str(file), todo="correct that line")
        if told.setdefault(pair, same == "1") != (same == "1"):
            raise BadInput(f"line {number} of the gold set says the opposite of an earlier line", where=str(file), todo="keep one of the two")
    return told, hashlib.sha256(content).hexdigest()[:12]
