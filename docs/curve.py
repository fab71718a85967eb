"""The picture of the feedback loop in the README, as SVG from the figures of bench/loop.json: `python docs/curve.py`.

One panel a data set: escapes by how much is done alone, after the last round, with learning and without. The same figures give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).resolve().parents[1] / "bench" / "loop.json"
PICTURE = Path(__file__).with_name("pictures") / "loop.svg"
SHOWN = {"pricerunner, 0 errors": "price comparison", "Abt-Buy, 0 errors": "Abt-Buy", "sandbox seed 7, 0 errors": "sandbox"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 310, 190, 56, 78, 44, 16
STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
TITLE = "What the machine does alone and gets wrong, with learning and without"
# Two greys and two inks that are legible on white and on dark paper; the lines differ in dash as well as colour.
STYLE = """
 text { font: 12px system-ui, sans-serif; fill: #59636e } .title { font-weight: 600; font-size: 14px }
 .axis { stroke: #8b949e; stroke-opacity: .4 } .line { fill: none; stroke-width: 2.2 }
 .learn { stroke: #2f7bd9 } .control { stroke: #b5651d; stroke-dasharray: 5 4 } .key-learn { fill: #2f7bd9 } .key-control { fill: #b5651d }
 @media (prefers-color-scheme: dark) { text { fill: #b7c0ca } .learn { stroke: #6cb0ff } .control { stroke: #f0a35e }
 .key-learn { fill: #6cb0ff } .key-control { fill: #f0a35e } }
"""


def draw_all(known: Mapping[str, Any]) -> None:
    """Write the picture where every play that it shows is known."""
    if all(name in known for name in SHOWN):
        PICTURE.write_text(draw({words: known[name] for name, words in SHOWN.items()}), encoding="utf-8")


def draw(plays: Mapping[str, Any]) -> str:
    """The SVG of plays by the words above their panel."""
    total = LEFT + len(plays) * (WIDTH + LEFT) - LEFT + GAP
    parts = [_text(GAP, 22, TITLE, "title"), _text(GAP, 42, "learning", "key-learn"), _text(GAP + 62, 42, "the same answers, not learned from", "key-control")]
    for place, (words, play) in enumerate(plays.items()):
        parts.append(f'<g transform="translate({LEFT + place * (WIDTH + LEFT)} {TOP})">{_panel(words, play)}</g>')
    size = f'width="{total}" height="{TOP + HEIGHT + BOTTOM}" viewBox="0 0 {total} {TOP + HEIGHT + BOTTOM}"'
    about = f"<title>{escape(TITLE)}</title><desc>{escape(_described(plays))}</desc>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>{about}<style>{STYLE}</style>{"".join(parts)}</svg>\n'


def _described(plays: Mapping[str, Any]) -> str:
    said = []
    for words, play in plays.items():
        last = play["rounds"][-1]
        same = last["same_automation"]
        said.append(
            f"{words}: after {last['answers']} answers, of the {same['automation']:.0%} done alone in both, {same['learn']:.1%} are wrong with learning and "
            f"{same['control']:.1%} without"
        )
    return "; ".join(said) + "."


def _panel(words: str, play: Mapping[str, Any]) -> str:
    last = play["rounds"][-1]
    lines = {arm: [(float(level), share) for level, share in last[arm]["escapes_by_automation"].items()] for arm in ("control", "learn")}
    most = max(share for line in lines.values() for _level, share in line)
    high = 3 * next(step for step in STEPS if 3 * step >= most)
    parts = [_text(0, -8, f"{words}, {last['answers']} answers", "")]
    for step in range(4):
        share = round(high * step / 3, 6)
        y = HEIGHT * (1 - step / 3)
        parts += [f'<path class="axis" d="M0 {y:.1f}H{WIDTH - LEFT}"/>', _text(-6, y + 4, f"{100 * share:g} %", "", "end")]
    for level in (0.3, 0.5, 0.7, 0.9):
        parts.append(_text(_across(level), HEIGHT + 18, f"{level:.0%}", "", "middle"))
    parts.append(_text((WIDTH - LEFT) / 2, HEIGHT + 36, "done alone, the surest first", "", "middle"))
    parts += [_line(arm, line, high) for arm, line in lines.items()]
    return "".join(parts)


def _across(level: float) -> float:
    return (level - 0.3) / 0.6 * (WIDTH - LEFT)


def _line(arm: str, points: Sequence[tuple[float, float]], high: float) -> str:
    path = "L".join(f"{_across(level):.1f} {HEIGHT * (1 - share / high):.1f}" for level, share in points)
    return f'<path class="line {arm}" d="M{path}"/>'


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


if __name__ == "__main__":
    draw_all(json.loads(FIGURES.read_text(encoding="utf-8")))
