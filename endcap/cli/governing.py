"""Verbs of governing: propose, proposals, validate, promote, rollback, postmortem, switch, model history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from endcap.cli.options import HERE, By, Dir, Json, actor, known_number, print_json, read_catalog

Home_ = Annotated[Path | None, typer.Option("--home", help="Folder of the lake and published snapshots, instead of the settings' own.")]
Number = Annotated[int, typer.Argument(help="The proposal's number.", callback=known_number("proposal", "see `endcap proposals list`"))]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the record.")]
LastKind = Annotated[str, typer.Option("--kind", help="Of artefact: match, infer, policy, mapping or taxonomy; what changed last when left out.")]
Kind = Annotated[str, typer.Option("--kind", help="Of artefact: match, infer, policy, mapping or taxonomy.")]
LISTED = ("proposal_id", "state", "kind", "owner", "approver", "automatic", "hypothesis", "artefact", "verdict", "created_at", "confirm_on")


def propose(
    file: Annotated[Path | None, typer.Argument(help="A proposal's file; without one the options below make it.")] = None,
    kind: Annotated[str, typer.Option(help="model, threshold, rule, mapping, taxonomy, policy or dictionary.")] = "policy",
    title: Annotated[str, typer.Option(help="A few words to know it by.")] = "",
    hypothesis: Annotated[str, typer.Option(help="We believe that [change] for [scope] will [outcome] because [reason].")] = "",
    change: Annotated[str, typer.Option(help="What is done, in words.")] = "",
    scope: Annotated[str, typer.Option(help="'*', 'feed:NAME', 'supplier:NAME' or 'category:PATH'.")] = "*",
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting it changes, as name=value; repeatable.")] = None,
    model: Annotated[str, typer.Option(help="The trained artefact it would put in force.")] = "",
    metric: Annotated[str, typer.Option(help="The figure that is to move.")] = "automated_success.success",
    effect: Annotated[float, typer.Option(help="The smallest effect worth having; of shares in points.")] = 0.5,
    guard: Annotated[list[str] | None, typer.Option(help="A figure that must not get worse; repeatable.")] = None,
    plan: Annotated[str, typer.Option(help="How it will be known.")] = "replay on the audited decisions",
    needed: Annotated[int, typer.Option(help="How many judged decisions that takes.")] = 256,
    trigger: Annotated[str, typer.Option(help="What ends it.")] = "a guard rail falls beyond its interval",
    draft: Annotated[bool, typer.Option("--draft", help="Write it down without proposing it yet.")] = False,
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Write down a change as a hypothesis: a row, and a file under proposals/ to be edited until it is accepted.

    Every mistake of it is said at once.
    """
    from endcap.govern import proposals
    from endcap.govern.proposal_files import checked
    from endcap.ops.home import Home

    home_ = Home(read_catalog(folder, home=home))
    if file is not None:
        made = proposals.propose_file(home_, file, actor=actor(by))
    else:
        given = {
            "kind": kind, "title": title or change[:120], "hypothesis": hypothesis, "change": change, "scope": scope, "metric": metric,
            "smallest_effect": effect, "guard_rails": guard or ["override_rate", "match_rate"], "plan": plan, "needed": needed, "rollback_trigger": trigger,
            **({"set": _settings_given(set_)} if set_ else {}), **({"artefact": model} if model else {}),
        }  # fmt: skip
        made = proposals.propose(home_, checked(given, where="propose"), actor=actor(by), draft=draft)
    if as_json:
        print_json(made)
        return
    typer.echo(f"proposal {made['proposal_id']} is {made['state']}: {made['hypothesis']}")
    typer.echo(f"proposals/{made['details']['file']}  {made['artefact_kind']} {made['artefact']}")


def proposals_list(
    folder: Dir = HERE,
    home: Home_ = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that have not ended.")] = False,
    as_json: Json = False,
) -> None:
    """List proposals, the newest first."""
    from endcap.govern.proposals import NEXT, all_proposals
    from endcap.ops.home import Home

    rows = [row for row in all_proposals(Home(read_catalog(folder, home=home))) if NEXT[row["state"]] or not open_only]
    if as_json:
        print_json({"proposals": [{name: row[name] for name in LISTED} for row in rows]})
        return
    if not rows:
        typer.echo("no proposals; `endcap propose` writes one, and `endcap train` where a challenger is better")
    for row in rows:
        verdict = f" {row['verdict']}" if row["verdict"] else ""
        typer.echo(f"{row['proposal_id']:>4}  {row['state']:<11} {row['kind']:<10}{verdict:<9} {row['owner']:<12} {row['hypothesis']}")


def proposals_show(number: Number, folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """Show a proposal's text and every step it took."""
    from endcap.govern.evidence import words_of
    from endcap.govern.proposals import proposal
    from endcap.ops.home import Home

    row = proposal(Home(read_catalog(folder, home=home)), number)
    if as_json:
        print_json(row)
        return
    typer.echo(f"proposal {number} is {row['state']}; proposals/{row['details'].get('file', '')}\n\n{row['text']}")
    for one in row["steps"]:
        typer.echo(f"{one['at']}  {words_of(one)}")


def _decide(verb: str, number: int, folder: Path, home: Path | None, by: str, reason: str, as_json: bool) -> None:
    from endcap.govern import proposals
    from endcap.ops.home import Home

    decide: dict[str, Callable[..., dict[str, Any]]] = {"accept": proposals.accept, "reject": proposals.reject, "withdraw": proposals.withdraw}
    row = decide[verb](Home(read_catalog(folder, home=home)), number, actor=actor(by), reason=reason)
    if as_json:
        print_json(row)
    else:
        todo = f"; `endcap validate {number}` measures it" if verb == "accept" else ""
        typer.echo(f"proposal {number} is {row['state']}{todo}")


def proposals_accept(
    number: Number, reason: Annotated[str, typer.Option("--reason", help="Why; kept in the record.")] = "", folder: Dir = HERE, home: Home_ = None,
    by: By = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Agree to a proposal as its file says it; from here on an edit of the file is refused."""
    _decide("accept", number, folder, home, by, reason, as_json)


def proposals_reject(number: Number, reason: Reason, folder: Dir = HERE, home: Home_ = None, by: By = "", as_json: Json = False) -> None:
    """Say no to a proposal."""
    _decide("reject", number, folder, home, by, reason, as_json)


def proposals_withdraw(
    number: Number, reason: Annotated[str, typer.Option("--reason", help="Why; kept in the record.")] = "", folder: Dir = HERE, home: Home_ = None,
    by: By = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Take a proposal back."""
    _decide("withdraw", number, folder, home, by, reason, as_json)


def proposals_confirm(folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """Compare promise and outcome of what was promoted long enough ago; runs do it by themselves."""
    from endcap.govern.follow_up import promises_due
    from endcap.ops.home import Home

    told = promises_due(Home(read_catalog(folder, home=home)))
    if as_json:
        print_json({"compared": told})
        return
    for one in told:
        typer.echo(f"proposal {one['proposal_id']}: {one['outcome']}; {one['words']}")
    if not told:
        typer.echo("nothing is due")


def validate(number: Number, folder: Dir = HERE, home: Home_ = None, by: By = "", as_json: Json = False) -> None:
    """Replay an accepted proposal on audited decisions, and give the verdict.

    INVALID, ROLLBACK, SHIP or HOLD, with what shoppers would see changed.
    """
    from endcap.govern import proposals
    from endcap.ops.home import Home

    row = proposals.validate(Home(read_catalog(folder, home=home)), number, actor=actor(by))
    if as_json:
        print_json(row)
        return
    found = row["validation"]
    typer.echo(f"proposal {number}: {row['verdict']} for {row['artefact_kind']} {row['artefact']}, trial {row['trial_id']}")
    typer.echo(found["words"])
    for claim in found["figures"]["plan"]["claims"]:
        typer.echo(f"by its plan: {claim['words']}")
    would = f"`endcap validate {number}` again, once that is mended: nothing was measured that could be overruled"
    would = would if row["verdict"] == "INVALID" else f"`endcap promote {number} --overrule --reason ...` would"
    typer.echo(f"`endcap promote {number}` puts it into production" if row["verdict"] == "SHIP" else would)


def promote(
    named: Annotated[str, typer.Argument(metavar="NUMBER", help="A proposal's number, or the artefact it speaks for.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the record.")] = "",
    shadow: Annotated[bool, typer.Option("--shadow", help="Only compute beside the champion what it would decide.")] = False,
    canary: Annotated[str | None, typer.Option("--canary", help="Let it decide in this scope only: feed:NAME, category:PATH, share:0.05 ...")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the shadow or canary of it.")] = False,
    overrule: Annotated[bool, typer.Option("--overrule", help="Promote against the verdict; needs a reason and is counted.")] = False,
    glass: Annotated[bool, typer.Option("--break-glass", help="Promote past the gate in an emergency; opens a postmortem.")] = False,
    kind: Kind = "match",
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Put an accepted and validated proposal into production; the next run decides with it."""
    from endcap.govern import promotion
    from endcap.ops.home import Home

    _check_one_of({"--shadow": shadow, "--canary": canary is not None, "--stop": stop, "--break-glass": glass})
    home_, who, what = Home(read_catalog(folder, home=home)), actor(by), int(named) if named.isdecimal() and len(named) < 10 else named
    if stop:
        found = promotion.stop(home_, actor=who, reason=reason, kind=kind)
        record: dict[str, Any] = found or {}
        words = f"the {record['of']} of {record['model_id']} has ended" if found else "nothing runs beside the champion"
    elif glass:
        record = promotion.break_glass(home_, what, actor=who, reason=reason, kind=kind)
        words = f"{record['model_id']} decides from the next `endcap run` on; postmortem {record['postmortem']} is open and waits for you"
    else:
        stage = "shadow" if shadow else "canary" if canary is not None else "promote"
        record = promotion.promote(home_, what, actor=who, reason=reason, stage=stage, scope=canary, overrule=overrule)
        before = f" in place of {record['previous']}" if record["previous"] else ""
        said = {"shadow": "is computed beside the champion", "canary": f"decides for {canary}", "promote": f"is the champion{before}"}
        when = "that decides anything on" if stage == "shadow" else "on"
        words = f"{record['model_id']} {said[stage]} from the next `endcap run` {when}"
        if (stopped := record["stopped"]) is not None:
            where = f" for {stopped['scope']}" if stopped["scope"] else ""
            words += f"; the {stopped['of']} of proposal {stopped['proposal_id']}{where} has ended"
    if as_json:
        print_json(record)
    else:
        typer.echo(words)


def _check_one_of(options: dict[str, bool]) -> None:
    """Raise BadInput where two are given that say different things."""
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        from endcap.problems import BadInput

        raise BadInput(f"{' and '.join(given)} are different things", where="promote", todo="give one of them")


def rollback(reason: Reason, kind: LastKind = "", folder: Dir = HERE, home: Home_ = None, by: By = "", as_json: Json = False) -> None:
    """Go back to what decided before; opens a postmortem."""
    from endcap.govern.promotion import rollback as roll_back
    from endcap.learn.promote import last_kind
    from endcap.ops.home import Home

    home_ = Home(read_catalog(folder, home=home))
    record = roll_back(home_, actor=actor(by), reason=reason, kind=kind or last_kind(home_))
    if as_json:
        print_json(record)
    else:
        typer.echo(f"the {record['kind']} {record['model_id']} decides again from the next `endcap run` on; postmortem {record['postmortem']} is open")


def postmortem(
    number: Annotated[
        int | None, typer.Argument(help="Its number; all are listed when left out.", callback=known_number("postmortem", "see `endcap postmortem`"))
    ] = None,
    close: Annotated[bool, typer.Option("--close", help="Close it with --text.")] = False,
    text: Annotated[Path | None, typer.Option("--text", help="With --close: the file that says what was learned; it goes below what was filled in.")] = None,
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """List postmortems, show one with what was filled in, or close it with what was learned."""
    from endcap.govern import postmortems
    from endcap.govern.written import read_written
    from endcap.ops.home import Home
    from endcap.problems import BadInput

    if text is not None and not close:
        raise BadInput("a text closes a postmortem", where="--text", todo="give --close as well")
    if close and number is None:
        raise BadInput("no postmortem is named", where="--close", todo="give its number; `endcap postmortem` lists them")
    home_ = Home(read_catalog(folder, home=home))
    if number is None:
        rows = postmortems.all_postmortems(home_)
        if as_json:
            print_json({"postmortems": rows})
            return
        for row in rows:
            state = f"closed {row['closed_at'][:10]}" if row["closed_at"] else f"due {row['due_on']}"
            typer.echo(f"{row['postmortem_id']:>4}  {state:<18} {row['cause']:<12} {row['owner']:<12} {row['title']}")
        if not rows:
            typer.echo("no postmortem; a rollback, a guard rail or a broken glass opens one")
        return
    if close:
        if text is None:
            raise BadInput("closing a postmortem needs its text", where="--text", todo="name the file that says what was learned")
        row = postmortems.close(home_, number, actor=actor(by), text=read_written(text, "what was learned"))
    else:
        row = postmortems.postmortem(home_, number)
    if as_json:
        print_json(row)
    else:
        typer.echo(f"postmortem {number} is closed" if close else row["text"])


def model_history(folder: Dir = HERE, home: Home_ = None, as_json: Json = False) -> None:
    """List what decided since when, of every kind, and why."""
    from endcap.learn.promote import told_history
    from endcap.ops.home import Home

    rows = told_history(Home(read_catalog(folder, home=home)))
    if as_json:
        print_json({"promotions": rows})
        return
    if not rows:
        typer.echo("no model yet; `endcap run` fits the first one")
    for row in rows:
        what = f"{row['kind']} {row['action']}" + (f" {row['scope']}" if row["scope"] else "")
        of = f"  proposal {row['proposal_id']}" if row["proposal_id"] else ""
        typer.echo(
            f"{row['at']}  {what:<16} {row['model_id']}  by {row['actor']}  on {row['data_version']}  after {row['previous'] or 'none'}{of}: {row['reason']}"
        )


def switch(
    state: Annotated[str, typer.Argument(help="off, on or list.")] = "list",
    scope: Annotated[str, typer.Argument(help="*, feed:NAME, supplier:NAME or category:PATH.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the record.")] = "",
    folder: Dir = HERE,
    home: Home_ = None,
    by: By = "",
    as_json: Json = False,
) -> None:
    """Turn off what the machine decides by itself, everywhere or in a scope, or on again.

    From the next run on a person is asked there; what is linked stays.
    """
    from endcap.govern import switches
    from endcap.ops.home import Home
    from endcap.problems import BadInput

    home_ = Home(read_catalog(folder, home=home))
    if state not in ("off", "on", "list"):
        raise BadInput(f"a switch knows no {state!r}", where="switch", todo="give off, on or list")
    if state != "list":
        row = switches.switch(home_, scope, automation=state == "on", actor=actor(by), reason=reason)
        if as_json:
            print_json(row)
        else:
            typer.echo(f"automation is {state} for {scope} from the next `endcap run` on")
        return
    rows = list(switches.in_force(home_).values())
    if as_json:
        print_json({"switches": rows})
        return
    for row in rows:
        typer.echo(f"{row['scope']}  {'on' if row['automation'] else 'off'} since {row['at']} by {row['actor']}: {row['reason']}")
    if not rows:
        typer.echo("automation is on everywhere")


def _settings_given(given: list[str]) -> dict[str, Any]:
    """name=value pairs; values are YAML, so that 0.9 is a number. Raises BadInput where one is no pair."""
    import yaml

    from endcap.problems import BadInput
    from endcap.settings import load_yaml

    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"{one!r} sets nothing", where="--set", todo="write name=value")
        try:
            found[name.strip()] = load_yaml(value)
        except yaml.YAMLError:
            raise BadInput(f"{value!r} is no value", where="--set", todo="write a number, true, false, or text") from None
    return found


def add_to(app: typer.Typer) -> None:
    app.command("propose")(propose)
    proposals = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Proposed changes, from hypothesis to confirmation.")
    proposals.command("list")(proposals_list)
    proposals.command("show")(proposals_show)
    proposals.command("accept")(proposals_accept)
    proposals.command("reject")(proposals_reject)
    proposals.command("withdraw")(proposals_withdraw)
    proposals.command("confirm")(proposals_confirm)
    app.add_typer(proposals, name="proposals")
    app.command("validate")(validate)
    app.command("promote")(promote)
    app.command("rollback")(rollback)
    app.command("postmortem")(postmortem)
    app.command("switch")(switch)
    models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Models and settings in production.")
    models.command("history")(model_history)
    models.callback()(lambda: None)
    app.add_typer(models, name="model")
