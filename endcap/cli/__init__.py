"""The command line: every verb that reports takes `--json` and prints one JSON object; progress goes to stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 3 held by a guard, 130 stopped by hand. Heavy imports wait until a verb runs.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType

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
        _until_stopped(app)
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


def _until_stopped(verb: Callable[[], object]) -> None:
    """Run a verb; stopped by Ctrl-C it ends with one sentence and code 130, whatever a library makes of the interrupt meanwhile."""
    stops: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stops.append(number)
        signal.default_int_handler(number, frame)

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # it is ignored, or somebody else's
        verb()
        return
    signal.signal(signal.SIGINT, stop)
    try:
        verb()
    except BaseException as ended:
        if not stops or (isinstance(ended, SystemExit) and not ended.code):
            raise
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        typer.echo("endcap: stopped by hand; what was not finished counts for nothing, and the same command may be given again.", err=True)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
