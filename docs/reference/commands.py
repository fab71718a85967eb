"""docs/commands.md, from the command line itself."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from endcap import cli
from reference.markdown import code, page, plain, table

METAVARS = {Path: "PATH", int: "N", float: "NUMBER", str: "TEXT"}


def commands_page() -> str:
    """Every verb with its usage, arguments and options."""
    root = typer.main.get_command(cli.app)
    promise, _empty, ends = (inspect.getdoc(cli) or "").partition("\n\n")
    codes = table(("exit code", "meaning"), re.findall(r"(\d+) ([a-z ]+)", ends))
    parts = [plain(root.help or ""), f"{plain(promise)} `endcap VERB --help` says the same as this page.", codes, "## endcap", parameter_table(root)]
    for words, command in commands(root):
        parts += [f"## {' '.join(words)}", plain(command.help or ""), f"```text\n{usage(words, command)}\n```", parameter_table(command)]
    return page("Commands", *parts)


def commands(command: Any, words: tuple[str, ...] = ("endcap",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb that does something, in the order of `--help`: its words and its command."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    if len(words) > 1 and command.invoke_without_command:  # does something by itself too
        yield words, command
    for name, one in inner.items():
        yield from commands(one, (*words, name))


def usage(words: tuple[str, ...], command: Any) -> str:
    """One line: the verb, its arguments, its required options."""
    arguments = [parameter_name(one, command) for one in command.params if one.param_type_name == "argument"]
    required = [parameter_name(one, command) for one in command.params if one.param_type_name == "option" and one.required]
    return " ".join([*words, *arguments, *required, "[OPTIONS]"])


def parameter_name(parameter: Any, command: Any) -> str:
    """How it is typed: `FEED`, `[SCOPE]`, `--port N`, `--json`."""
    if parameter.param_type_name == "argument":
        return parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"
    if parameter.is_flag:
        return " / ".join(parameter.opts)
    return f"{' / '.join(parameter.opts)} {METAVARS[plain_type(parameter, command)]}"


def plain_type(parameter: Any, command: Any) -> type:
    """The type of one value of a parameter, from the verb's signature."""
    hint = typing.get_type_hints(inspect.unwrap(command.callback))[parameter.name]
    while typing.get_args(hint):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    found: type = hint
    return found


def parameter_table(command: Any) -> str:
    rows = ((code(parameter_name(one, command)), parameter_default(one), plain(one.help or "")) for one in command.params)
    return table(("argument or option", "default", "what it does"), rows)


def parameter_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if getattr(parameter, "is_flag", False):
        return "off"
    return "none" if parameter.default in (None, "") else code(parameter.default)
