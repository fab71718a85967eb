"""How fast facts are found: `python bench/infer.py [OFFERS]` makes offers in memory and prints CPU seconds by step.

With `--titles FILE.csv --title COL --label COL` it prints the title classifier's accuracy on your own labelled titles,
split by hash of the title, four fifths to learn from.
"""

from __future__ import annotations

import argparse
import csv
import random
import resource
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from endcap.infer import find_facts, learn_known, title_model
from endcap.schema import Offer, arrow_schema
from endcap.units import find_pack_counts, find_quantities

KINDS = {
    "Coffee": "coffee|espresso|Kaffee", "Tea": "tea|Tee", "Juice": "juice|Saft|Nektar", "Shampoo": "shampoo|Haarshampoo", "Detergent": "detergent|Waschmittel",
    "Running Shoes": "running shoes|Laufschuhe", "Headphones": "headphones|Kopfhörer",
    "Laptop": "laptop|notebook", "Paint": "paint|Wandfarbe", "Drill": "drill|Bohrer",
}  # fmt: skip
EXTRAS = (
    "black",
    "blau",
    "Gr. L",
    "500 g",
    "1,5 l",
    "6 x 330 ml",
    "3er Pack",
    "16 GB",
    "sensitive",
    "classic",
    "PRO 440",
    "WX-1200B",
    "organic",
    "extra stark",
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("offers", nargs="?", type=int, default=100_000)
    arguments.add_argument("--titles", type=Path)
    arguments.add_argument("--title", default="title")
    arguments.add_argument("--brand", help="a column whose text is added to the title")
    arguments.add_argument("--label", default="category")
    given = arguments.parse_args()
    if given.titles:
        measure_titles(given.titles, [given.title, given.brand] if given.brand else [given.title], given.label)
    else:
        measure_speed(given.offers)


def measure_speed(count: int) -> None:
    offers = make_offers(count)
    with tempfile.TemporaryDirectory() as folder:
        taxonomy = Path(folder) / "taxonomy.csv"
        taxonomy.write_text("category,words\n" + "".join(f"House > {name},{words}\n" for name, words in KINDS.items()), encoding="utf-8")
        # The first calls compile; that happens once a machine.
        find_facts(offers.slice(0, 200), learn_known(offers.slice(0, 2000), taxonomy, seed=7), run=1, cores=1)
        started = time.process_time()
        known = learn_known(offers, taxonomy, seed=7)
        learnt = time.process_time()
        facts = find_facts(offers, known, run=1, cores=1)
        found = time.process_time()
    show("learn_known", learnt - started, count)
    show("find_facts", found - learnt, count)
    titles = [str(title) for title in offers["title"].to_pylist()]
    for name, function in (("find_quantities", find_quantities), ("find_pack_counts", find_pack_counts)):
        started = time.process_time()
        for title in titles:
            function(title)
        show(name, time.process_time() - started, count)
    print(f"{facts.num_rows} facts, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def show(step: str, cpu_s: float, count: int) -> None:
    print(f"{step:18} {cpu_s:7.2f} CPU s  {cpu_s / count * 1e6:7.1f} us an offer  {count / max(cpu_s, 1e-9):10.0f} offers/s")


def make_offers(count: int) -> pa.Table:
    draw = random.Random(11)
    brands = [f"{draw.choice(['Nor', 'Van', 'Tres', 'Ola', 'Kai'])}{draw.choice(['lys', 'mar', 'do', 'ken', 'via'])} {number}" for number in range(400)]
    blank = dict.fromkeys(arrow_schema(Offer).names)
    rows = []
    for number in range(count):
        kind = draw.choice(list(KINDS))
        feed, brand = f"feed{number % 8}", draw.choice(brands)
        title = " ".join([brand, draw.choice(KINDS[kind].split("|")), *draw.sample(EXTRAS, 4), str(number % 997)])
        path = f"Shop {feed} > {KINDS[kind].split('|')[0]}" if number % 8 < 6 else None
        offer = {
            "offer_id": f"{feed}:{number}",
            "feed": feed,
            "supplier": feed,
            "source_id": str(number),
            "title": title,
            "brand": brand if number % 8 < 5 else None,
        }
        rest = {"category_path": path, "delivery_id": "d", "position": number, "raw_hash": 0, "identity_hash": 0, "run": 1, "gone": False}
        rows.append({**blank, **offer, **rest})
    return pa.Table.from_pylist(rows, schema=arrow_schema(Offer))


def measure_titles(file: Path, columns: list[str], label: str) -> None:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row[label]]
    names = sorted({row[label] for row in rows})
    number_of = {name: number for number, name in enumerate(names)}
    classes = np.array([number_of[row[label]] for row in rows], np.int64)
    asked = np.array([zlib.crc32(row[columns[0]].encode()) % 5 == 0 for row in rows])
    started = time.process_time()
    features = title_model.features_of([" ".join(row[column] for column in columns) for row in rows])
    taught = np.flatnonzero(~asked)
    model = title_model.fit(features.rows(taught), classes[taught], np.ones(len(taught), np.float32), len(names), seed=7)
    top = np.argsort(-model.probabilities(features.rows(np.flatnonzero(asked))), axis=1)[:, :3]
    right = top == classes[asked][:, None]
    print(
        f"{file.parent.name} {label}: {len(rows)} titles, {len(names)} classes, top-1 {right[:, 0].mean():.4f}, top-3 {right.any(axis=1).mean():.4f}", end=", "
    )
    print(f"{time.process_time() - started:.1f} CPU s")


if __name__ == "__main__":
    main()
