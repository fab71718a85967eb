"""The verb evaluate: measure on labelled data of your own."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.cli.options import Json, print_json
from endcap.problems import BadInput

Folder = Annotated[Path, typer.Argument(help="A folder with left.csv, right.csv and labels; the shapes are in docs/evaluate.md.")]
Labels = Annotated[str, typer.Option("--labels", help="Which labels the model may see: all, none, or a number.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Seeds = Annotated[str, typer.Option("--seed", help="Seed of everything random; of several, like 7,8,9, each is measured and the mean told.")]


def block(
    folder: Folder,
    k: Annotated[int, typer.Option(help="Candidates per record.", min=1)] = 10,
    direction: Annotated[str, typer.Option(help="left, or both.")] = "left",
    as_json: Json = False,
) -> None:
    """Measure the share of all true matches that are among the candidates."""
    from endcap.learn.evaluate.block import evaluate_block

    _show(evaluate_block(folder, k=k, direction=direction), as_json)


def match(
    folder: Folder,
    labels: Labels = "all",
    choice: Annotated[str, typer.Option("--choose", help="How a number of labels is chosen: active, as a reviewer would be asked, or random.")] = "active",
    encoder: Annotated[bool, typer.Option("--encoder", help="Weigh in a text encoder tuned on train; needs the extra endcap[neural].")] = False,
    seed: Seeds = "7",
    as_json: Json = False,
) -> None:
    """Measure the classification of given pairs, on test."""
    from endcap.learn.evaluate.match import evaluate_match

    known = int(labels) if labels.isdecimal() else labels
    _show_seeded(lambda one: evaluate_match(folder, labels=known, choice=choice, encoder=encoder, seed=one), seed, as_json)


def link(folder: Folder, labels: Labels = "none", seed: Seeds = "7", as_json: Json = False) -> None:
    """Measure two raw tables to matched pairs, end to end."""
    from endcap.learn.evaluate.link import evaluate_link

    _show_seeded(lambda one: evaluate_link(folder, labels=labels, seed=one), seed, as_json)


def cluster(
    file: Annotated[Path, typer.Argument(help="One CSV file of offers of many sources.")],
    truth: Annotated[str, typer.Option(help="Column with the true cluster.")] = "cluster_id",
    source: Annotated[str, typer.Option(help="Column with the source.")] = "merchant_id",
    hide: Annotated[str, typer.Option(help="Columns that matching must not see, separated by commas.")] = "",
    labels: Annotated[str, typer.Option("--labels", help="How many answers the model may learn from: none, or a number.")] = "none",
    holdout: Annotated[float, typer.Option(help="Share of the clusters that arrive later, as new products.", min=0, max=0.9)] = 0.2,
    seed: Seeds = "7",
    as_json: Json = False,
) -> None:
    """Measure offers of many sources to products, end to end."""
    from endcap.learn.evaluate.cluster import evaluate_cluster

    hidden = [name.strip() for name in hide.split(",") if name.strip()]
    _show_seeded(lambda one: evaluate_cluster(file, truth=truth, source=source, hide=hidden, labels=labels, holdout=holdout, seed=one), seed, as_json)


def promise(
    folder: Folder,
    precision: Annotated[float, typer.Option(help="The precision promised.")] = 0.97,
    confidence: Annotated[float, typer.Option(help="How sure the promise must be.")] = 0.9,
    splits: Annotated[int, typer.Option(help="Random splits.", min=1)] = 20,
    seed: Seeds = "7",
    as_json: Json = False,
) -> None:
    """Measure how often a promise of precision is broken, and what it covers."""
    from endcap.learn.evaluate.promise import evaluate_promise

    _show_seeded(lambda one: evaluate_promise(folder, precision=precision, confidence=confidence, splits=splits, seed=one), seed, as_json)


def loop(
    path: Annotated[
        Path, typer.Argument(help="A folder with left.csv, right.csv and matches.csv, a CSV file of many sources, or a sandbox world after a run.")
    ],
    rounds: Annotated[int, typer.Option(help="Rounds of answers.")] = 3,
    answers: Annotated[int, typer.Option(help="Answers a round, audits included.")] = 100,
    error: Annotated[float, typer.Option(help="How often the simulated reviewer errs.")] = 0.0,
    arms: Annotated[str, typer.Option(help="What is played: learn, control, or both.")] = "learn,control",
    precision: Annotated[float, typer.Option(help="The success promised of what the machine does alone.")] = 0.98,
    confidence: Annotated[float, typer.Option(help="How sure the promise must be.")] = 0.9,
    truth: Annotated[str, typer.Option(help="Of a CSV file: column with the true product.")] = "cluster_id",
    source: Annotated[str, typer.Option(help="Of a CSV file: column with the source.")] = "",
    hide: Annotated[str, typer.Option(help="Of a CSV file: columns that matching must not see, separated by commas.")] = "",
    seed: Seed = 7,
    as_json: Json = False,
) -> None:
    """Measure the feedback loop round by round with a simulated reviewer, beside a catalog that does not learn."""
    from endcap.learn.evaluate.loop import evaluate_loop

    hidden, played = ([name.strip() for name in names.split(",") if name.strip()] for names in (hide, arms))
    figures = evaluate_loop(
        path, rounds=rounds, answers=answers, error=error, arms=played, precision=precision, confidence=confidence, truth=truth, source=source, hide=hidden,
        seed=seed,
    )  # fmt: skip
    if as_json:
        print_json(figures)
        return
    _show({name: value for name, value in figures.items() if name != "rounds"}, as_json=False)
    for one in figures["rounds"]:
        for arm in played:
            told = one[arm]
            promise = told["promise"]
            kept = f"{promise['missing']} answers missing" if promise["kept"] is None else f"{promise['automation']:.1%} promised"
            typer.echo(
                f"round {one['round']}, {one['answers']} answers, {arm}: automation {told['automation']:.1%}, escapes {told['escapes']:.2%}, "
                f"to review {told['to_review']:,}, {kept}"
            )
        if same := one.get("same_automation"):
            escapes = ", ".join(f"{arm} {same[arm]:.2%}" for arm in played)
            typer.echo(f"round {one['round']}, both over their surest {same['automation']:.1%} of all: escapes {escapes}")


def _show_seeded(evaluate: Callable[[int], dict[str, Any]], seeds: str, as_json: bool) -> None:
    """The figures of one seed; of several the mean of every figure, with the lowest and the highest, and in JSON those of each."""
    numbers = [number.strip() for number in seeds.split(",")]
    if not all(number.isdecimal() for number in numbers):
        raise BadInput(f"{seeds!r} is no seed", where="--seed", todo="give a whole number, or several with commas between them, like 7,8,9")
    each = [evaluate(int(number)) for number in numbers]
    if len(each) == 1:
        _show(each[0], as_json)
    elif as_json:
        print_json({**_mean(each), "seeds": [int(number) for number in numbers], "each": each})
    else:
        _show({name: _spread([figures[name] for figures in each]) for name in each[0]}, as_json=False)


def _mean(values: list[Any]) -> Any:
    """The mean of the numbers that are known, name by name within what holds them; of anything else the first."""
    if isinstance(values[0], dict):
        return {name: _mean([value[name] for value in values]) for name in values[0]}
    numbers = [value for value in values if isinstance(value, int | float)]
    return statistics.mean(numbers) if numbers else values[0]


def _spread(values: list[Any]) -> Any:
    """A figure's mean with the lowest and the highest where seeds differ."""
    numbers = [value for value in values if isinstance(value, int | float)]
    return f"{statistics.mean(numbers):.4f} ({min(numbers):g} to {max(numbers):g})" if len(set(numbers)) > 1 else _mean(values)


def _show(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:<18} {value:.4f}" if isinstance(value, float) else f"{name:<18} {value}")


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure on labelled data of your own.")
    for verb in (block, match, link, cluster, promise, loop):
        group.command(verb.__name__)(verb)
    app.add_typer(group, name="evaluate")
