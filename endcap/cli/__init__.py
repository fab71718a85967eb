"""The command line: every verb that reports takes `--json` and prints one JSON object; progress goes to stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 held by a guard. Heavy imports wait until a verb runs.
"""

from __future__ import annotations

import sys

import typer

from endcap.cli import catalog, evaluate, governing, labels, learning, look, loops, people, promise, start, telling
from endcap.problems import Problem

app = typer.Typer(
    name="endcap", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False,
    help="The product catalog that learns: supplier feeds in, one clean catalog out, a confidence on every decision.",
)  # fmt: skip


@app.callback(invoke_without_command=True)
def version(show: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if show:
        from endcap import __version__

        typer.echo(__version__)
        raise typer.Exit


for verbs in (start, catalog, look, learning, labels, governing, loops, promise, people, telling, evaluate):
    verbs.add_to(app)


def main() -> None:
    """The `endcap` command."""
    try:
        app()
    except Problem as problem:
        typer.echo(f"endcap: {problem.sentence()}", err=True)
        sys.exit(problem.exit_code)
    except OSError as error:
        typer.echo(f"endcap: {error.filename or 'a file'} cannot be used: {error.strerror or error}; name another, or mend it.", err=True)
        sys.exit(2)
    except UnicodeEncodeError as error:
        if error.encoding != "utf-8":  # a terminal that has no such letters
            raise
        typer.echo(f"endcap: what was given cannot be kept ({error.object[:80]!r}): it is not UTF-8; write it in UTF-8 and run again.", err=True)
        sys.exit(2)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("duckdb", "_duckdb", "sqlalchemy"):
            raise
        cause = " ".join(str(error).split())[:200]
        typer.echo(f"endcap: the catalog's tables cannot be read ({cause}); `endcap snapshot verify` and `endcap doctor` name what is wrong.", err=True)
        sys.exit(1)
