"""Ctrl-C: one sentence and code 130, at whatever moment it comes and whatever a library makes of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import duckdb
import pytest

from endcap import cli
from endcap.problems import BadInput, in_words


def raised(error: BaseException) -> Callable[[], None]:
    """A verb that is stopped, and of which a library makes that error."""

    def verb() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None

    return verb


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """Whoever starts the tests in the background has them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


STOPPED = [
    KeyboardInterrupt(), RuntimeError("Query interrupted"), duckdb.InvalidInputException("counting the rows failed: KeyboardInterrupt:"), SystemExit(130),
    BadInput("half read"), OSError(4, "Interrupted system call"),
]  # fmt: skip


@pytest.mark.parametrize("error", STOPPED, ids=lambda one: type(one).__name__)
def test_a_stopped_verb_ends_in_a_sentence(error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "app", raised(error))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 130 and said.startswith("endcap: stopped by hand") and said.count("\n") == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_was_not_stopped_ends_as_before(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong() -> None:
        raise BadInput("it is wrong")

    monkeypatch.setattr(cli, "app", wrong)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and capsys.readouterr().err == "endcap: it is wrong.\n"
    monkeypatch.setattr(cli, "app", raised(SystemExit(0)))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0, "a server that is stopped has done what it was to do"


def test_a_query_that_is_stopped_is_told_as_stopped() -> None:
    for error in (RuntimeError("Query interrupted"), KeyboardInterrupt()):
        assert in_words(error) == "it was stopped by hand; the next run does its work again."
