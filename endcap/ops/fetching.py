"""Asking a server outside at an address that somebody else wrote: checked, pinned, bounded in time, size and redirects.

A name is looked up once. What was checked is what is connected to, so that a name which leads elsewhere the next moment gains nothing
(DNS rebinding); the server is still addressed and its certificate verified by name. Proxies of the environment are not used.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from endcap import __version__
from endcap.ops.reachable import Refused, Target, check, target_of
from endcap.problems import Problem
from endcap.settings import Destination

MOST_REDIRECTS = 3
SECONDS = 10.0
MOST_ANSWER_BYTES = 4096  # of an answer to a POST; the rest is not read
NOBODYS = ("example", "invalid", "test")
REDIRECTS = (301, 302, 303, 307, 308)
PIECE_BYTES = 65_536

Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]


class NotFetched(Problem):
    """The server could not be asked, or answered otherwise than it may."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer; header names are in small letters."""

    address: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def look_up(host: str, port: int) -> list[str]:
    """Every address of a name, as the system's resolver has them; names that are nobody's (RFC 2606) lead nowhere and are not asked for."""
    if host.rsplit(".", 1)[-1] in NOBODYS:
        return []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def connect_to(number: str, port: int, seconds: float) -> socket.socket:
    """A connection to an address, never to a name."""
    return socket.create_connection((number, port), timeout=seconds)


class Fetcher:
    """Asks servers outside.

    In: the networks that are allowed beside public ones, and the seconds one question may take with all its redirects. `resolve`, `connect` and
    `trust` stand for the system's resolver, its connections and its certificates. Raises Refused for an address that may not be asked,
    and then nothing was sent there; NotFetched for everything else.
    """

    def __init__(
        self, allowed: Sequence[Destination] = (), *, seconds: float = SECONDS, resolve: Resolve = look_up, connect: Connect = connect_to,
        trust: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self._allowed, self._seconds, self._resolve, self._connect, self._trust = tuple(allowed), seconds, resolve, connect, trust

    def get(self, address: str, *, most_bytes: int, accept: str = "*/*") -> Fetched:
        """What lies at an address; every redirect is checked as the first address was."""
        until, at = _Moment(self._seconds), address
        for _hop in range(MOST_REDIRECTS + 1):
            answer = self._ask("GET", target_of(at), {"Accept": accept}, b"", until, most_bytes)
            if answer.status not in REDIRECTS or "location" not in answer.headers:
                return answer
            try:
                at = urljoin(at, answer.headers["location"].strip())
            except ValueError:
                raise Refused("the server leads to an address that cannot be read", where=repr(address[:120])) from None
        raise NotFetched(f"the server leads on more than {MOST_REDIRECTS} times", where=repr(address[:120]))

    def post(self, address: str, body: bytes, headers: Mapping[str, str], *, most_bytes: int | None = None) -> Fetched:
        """Send a body. A redirect is the answer and is not followed; without `most_bytes` only the beginning of a longer answer is read."""
        return self._ask("POST", target_of(address), headers, body, _Moment(self._seconds), most_bytes)

    def _ask(self, method: str, target: Target, headers: Mapping[str, str], body: bytes, until: _Moment, most_bytes: int | None) -> Fetched:
        where = f"{target.scheme}://{target.authority}"
        try:
            connected = self._connected(target, until, where)
            try:
                return _converse(connected, method, target, headers, body, until, most_bytes)
            finally:
                connected.close()
        except TimeoutError:
            raise NotFetched(f"there was no whole answer within {self._seconds:g} seconds", where=where) from None
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            cause = " ".join(str(error).split())[:120] or type(error).__name__
            raise NotFetched(f"the server could not be asked: {cause}", where=where) from None

    def _connected(self, target: Target, until: _Moment, where: str) -> socket.socket:
        """A connection to the first checked address that answers, with TLS by the target's name."""
        numbers = [target.host] if target.is_number else self._looked_up(target, until)
        if not numbers:
            raise NotFetched("the host's name leads nowhere", where=where)
        for number in numbers:  # one that may not be asked among them spoils all: honest names do not mix
            check(number, target.port, self._allowed, where=where)
        plain = self._first(numbers, target.port, until)
        if target.scheme == "http":
            return plain
        try:
            plain.settimeout(until.left())
            return (self._trust or ssl.create_default_context()).wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise

    def _first(self, numbers: Sequence[str], port: int, until: _Moment) -> socket.socket:
        failed: OSError | None = None
        for tried, number in enumerate(numbers):
            try:
                return self._connect(number, port, until.left() / (len(numbers) - tried))
            except OSError as error:
                failed = error
        raise failed or OSError("no address")

    def _looked_up(self, target: Target, until: _Moment) -> list[str]:
        """The name's addresses; the system's resolver knows no time limit, so that it is asked beside."""
        answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(list(self._resolve(target.host, target.port)))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=ask, name="look-up", daemon=True).start()
        try:
            found = answers.get(timeout=until.left())
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(found, Exception):
            raise found
        return found


class _Moment:
    """When everything must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then. Raises TimeoutError when it has passed."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Bytes(io.RawIOBase):
    """What a socket receives until the moment, however slowly it comes."""

    def __init__(self, connected: socket.socket, until: _Moment) -> None:
        self._connected, self._until = connected, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(self._until.left())
        return self._connected.recv_into(buffer)


class _Timed:
    """What `http.client` needs of a socket, all of it until the moment."""

    def __init__(self, connected: socket.socket, until: _Moment) -> None:
        self._connected, self._until = connected, until

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._until.left())
        self._connected.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Bytes(self._connected, self._until))

    def close(self) -> None:
        """The socket is closed by who opened it."""


def _converse(
    connected: socket.socket, method: str, target: Target, headers: Mapping[str, str], body: bytes, until: _Moment, most_bytes: int | None
) -> Fetched:
    client = http.client.HTTPConnection(target.host, target.port)
    client.auto_open = 0  # it must never connect by itself
    client.sock = _Timed(connected, until)
    client.putrequest(method, target.path, skip_host=True, skip_accept_encoding=True)
    given = {"Host": target.authority, "User-Agent": f"endcap/{__version__}", "Accept-Encoding": "identity", "Connection": "close", **headers}
    if method == "POST":
        given["Content-Length"] = str(len(body))
    for name, value in given.items():
        client.putheader(name, value)
    client.endheaders(body or None)
    with client.getresponse() as answer:
        said = {name.lower(): value for name, value in answer.getheaders()}
        read = answer.read(MOST_ANSWER_BYTES) if most_bytes is None else b"" if answer.status in REDIRECTS else _whole(answer, most_bytes)
        return Fetched(f"{target.scheme}://{target.authority}{target.path}", answer.status, said, read)


def _whole(answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    """The body, all of it. Raises HTTPException where it is larger than it may be, or ends early."""
    parts: list[bytes] = []
    had = 0
    if answer.length is not None and answer.length > most_bytes:
        raise http.client.HTTPException(f"more than {most_bytes:,} bytes")
    while piece := answer.read(PIECE_BYTES):
        had += len(piece)
        if had > most_bytes:
            raise http.client.HTTPException(f"more than {most_bytes:,} bytes")
        parts.append(piece)
    if answer.length:
        raise http.client.HTTPException("it ended early")
    return b"".join(parts)
