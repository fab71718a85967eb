"""The charts of the pages about models: from what the API tells to drawings."""

from __future__ import annotations

from collections.abc import Sequence

from endcap.serve import charts
from endcap.serve.answers_models import TrialRow
from endcap.serve.answers_thresholds import Band, Curve
from endcap.serve.charts import Chart
from endcap.serve.templating import percent

NOTHING_AUDITED = "No link was audited yet: `endcap audit`, or the desk, where one item in twenty is an audit."
LIKENESS = charts.Scale(0.5, 1.0, tuple((0.5 + tenth / 10, f"{0.5 + tenth / 10:.1f}") for tenth in range(6)))
# Audits are few, so that their bands are ten times as wide as those that are counted.
WIDE = 10


def decisions_by_likeness(curve: Curve) -> Chart:
    """How many decisions lie where, linked below and asked above."""
    up = charts.counts(max([band.linked + band.asked for band in curve.bands], default=0))
    spans = [(band.low, band.high) for band in curve.bands]
    linked = charts.bars("agrees", LIKENESS, up, [(*span, band.linked) for span, band in zip(spans, curve.bands, strict=True)])
    ground = [band.linked for band in curve.bands]
    asked = charts.bars("unknown", LIKENESS, up, [(*span, band.asked) for span, band in zip(spans, curve.bands, strict=True)], ground)
    total, sure = sum(band.linked + band.asked for band in curve.bands), sum(band.linked for band in curve.bands)
    wide = _wide(curve.bands)
    words = f"{sure:,} linked by machine and {total - sure:,} left to a person, of {total:,} that are alike to one half or more."
    return Chart(
        "by-likeness", "Decisions by likeness", words,
        LIKENESS, up, (), tuple(bar for bar in (*linked, *asked) if bar.height > 0), ("Likeness", "Linked", "Left to a person"),
        tuple((f"{low:.2f} to {high:.2f}", f"{sum(b.linked for b in part):,}", f"{sum(b.asked for b in part):,}") for low, high, part in wide),
    )  # fmt: skip


def reliability(curve: Curve) -> Chart:
    """How often audits in a band were right, beside what the machine believed."""
    up = charts.shares()
    told = []
    for low, high, part in _wide(curve.bands):
        n, right = sum(band.audited for band in part), sum(band.right for band in part)
        if n:
            told.append((low, high, n, right, *charts.interval(right, n)))
    even = charts.line("as sure as right", "plain", LIKENESS, up, [(0.5, 0.5), (1.0, 1.0)])
    points = [((low + high) / 2, right / n) for low, high, n, right, _low, _high in told]
    dots = charts.line("audited", "accent", LIKENESS, up, points, [(least, most) for *_rest, least, most in told])
    n = sum(one[2] for one in told)
    words = f"{n:,} links were audited; a dot on the line is a machine that is as right as it is sure." if n else NOTHING_AUDITED
    rows = tuple(
        (f"{low:.2f} to {high:.2f}", f"{n:,}", percent(right / n), f"{percent(least)} to {percent(most)}") for low, high, n, right, least, most in told
    )
    return Chart("reliability", "As sure as it is right?", words, LIKENESS, up, (even, dots), (), ("Likeness", "Audited", "Right", "95 % interval"), rows)


def coverage(curve: Curve) -> Chart:
    """What share of the decisions each threshold would let the machine make, against the precision that audits prove there."""
    across, up = charts.shares(), charts.shares(0.5, 1.0, 6)
    proved = [cut for cut in curve.cuts if cut.audited]
    seen = charts.line("right among audits", "plain", across, up, [(cut.share, cut.right / cut.audited) for cut in proved])
    bound = charts.line("proved at 90 % confidence", "accent", across, up, [(cut.share, cut.bound or 0.0) for cut in proved])
    words = "The further right, the more the machine decides; the lower line is what a promise may rest on." if proved else NOTHING_AUDITED
    some = [cut for place, cut in enumerate(curve.cuts) if cut.audited and place % WIDE == 0]
    rows = tuple((f"{cut.threshold:.2f}", percent(cut.share), f"{cut.right:,} of {cut.audited:,}", percent(cut.bound)) for cut in some)
    return Chart("coverage", "Coverage against precision", words, across, up, (seen, bound), (), ("From likeness", "Coverage", "Right", "Proved"), rows)


def learning(trials: Sequence[TrialRow]) -> Chart:
    """How right challenger and champion were on what they had not seen, by the number of labels."""
    told = sorted((trial for trial in trials if trial.n and trial.challenger_right is not None), key=lambda trial: (trial.labels, trial.trial_id))
    across = charts.counts(max([trial.labels for trial in told], default=0))
    up = charts.shares(0.5, 1.0, 6)
    challenger = charts.line("challenger", "accent", across, up, [(trial.labels, (trial.challenger_right or 0) / trial.n) for trial in told])
    champion = charts.line("champion then", "plain", across, up, [(trial.labels, (trial.champion_right or 0) / trial.n) for trial in told])
    words = (
        f"{len(told)} challenger{'s, each' if len(told) > 1 else ','} judged on answers it had not seen."
        if told
        else "No challenger was trained yet: `endcap train` fits one on the answers."
    )
    rows = tuple((f"{one.labels:,}", f"{one.challenger_right:,} of {one.n:,}", f"{one.champion_right:,} of {one.n:,}", one.verdict) for one in told)
    return Chart(
        "learning", "What answers teach", words, across, up, (challenger, champion), (), ("Labels", "Challenger right", "Champion right", "Verdict"), rows
    )


def _wide(bands: Sequence[Band]) -> list[tuple[float, float, Sequence[Band]]]:
    parts = [bands[place : place + WIDE] for place in range(0, len(bands), WIDE)]
    return [(part[0].low, part[-1].high, part) for part in parts]
