"""A catalog in which every offer of one seller waits for a person, and all for the same reason: long queues, and one large group."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from endcap import flow, settings

PARTS = [consonant + vowel for consonant in "bdfgklmnprstvwz" for vowel in "aeo"]
KINDS = ("kettle", "lamp", "drill", "chair", "bottle", "train", "scarf", "router")
SETTINGS = """
name: doubtful
inbox: inbox
policy: {accept: 1.0, review: 0.02}
feeds:
  alpha: {file: "{date}/alpha.csv", format: csv, fields: {id: id, title: title, price: price}}
  beta: {file: "{date}/beta.csv", format: csv, fields: {id: id, title: title, price: price}}
"""


def make(folder: Path, count: int, title_of: Callable[[str, int], str] = lambda title, _number: title) -> Path:
    """`count` products of one seller, and an offer of another that resembles each; `title_of` may write the second one's titles otherwise."""
    dice = random.Random(3)
    day = folder / "inbox" / "2026-01-01"
    day.mkdir(parents=True)
    sure, doubted = ["id,title,price"], ["id,title,price"]
    for number in range(count):
        first, second, third = ("".join(dice.choices(PARTS, k=3)) for _word in range(3))
        title = f"{first} {KINDS[number % len(KINDS)]} {second}"
        sure.append(f"{number},{title} {third},{10 + number % 90}.50")
        other = title_of(title, number).replace('"', '""')
        doubted.append(f'{number},"{other}",{10 + number % 90}.50')
    (day / "alpha.csv").write_text("\n".join(sure) + "\n", encoding="utf-8")
    (day / "beta.csv").write_text("\n".join(doubted) + "\n", encoding="utf-8")
    (folder / "endcap.yaml").write_text(SETTINGS, encoding="utf-8")
    flow.run(settings.read(folder))
    return folder
