"""A demo catalog made once, served on loopback from a copy of its own, and programs that ask it; for bench/review.py."""

from __future__ import annotations

import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from endcap import settings
from endcap.ops import access
from endcap.ops.home import Home

ENDCAP = str(Path(sys.executable).with_name("endcap"))
MAKING_S, STARTING_S, ASKING_S = 900, 60, 60
ROOT = Path(__file__).resolve().parents[1]


def make_world(folder: Path, offers: int) -> None:
    """The demo of so many offers, one day of deliveries. Raises CalledProcessError, or TimeoutExpired after a quarter of an hour."""
    command = [ENDCAP, "demo", "--dir", str(folder), "--offers", str(offers), "--days", "1", "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=MAKING_S)


@dataclass
class Served:
    """A catalog in a folder of its own and the process that serves it."""

    folder: Path
    home: Home
    port: int
    server: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server; returns when it listens."""
        command = [ENDCAP, "serve", "--dir", str(self.folder), "--port", str(self.port)]
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        until = time.monotonic() + STARTING_S
        while self.server.poll() is None and time.monotonic() < until:
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError("the server did not start")

    def stop(self) -> None:
        """End the server, if it runs."""
        if self.server is not None:
            self.server.terminate()
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
            self.server = None

    def cpu_s(self) -> float:
        """CPU seconds that the server's process has taken since it started, those of its threads too (Linux)."""
        assert self.server is not None
        told = Path(f"/proc/{self.server.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")

    def token(self, name: str, role: str = "reviewer") -> str:
        """A token for a day."""
        return access.make_token(self.home.engine, name, role, days=1, actor="bench")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of the catalog as it lies on disk, not through the server."""
        with self.home.connect() as con:
            return con.execute(query).fetchall()


@contextmanager
def serve_copy(world: Path, into: Path) -> Iterator[Served]:
    """A fresh copy of the world, served until the block ends; nothing that one part decides is seen by the next."""
    folder = Path(shutil.copytree(world, into))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    served = Served(folder, Home(settings.read(folder)), port)
    served.start()
    try:
        yield served
    finally:
        served.stop()
        served.home.engine.dispose()
        shutil.rmtree(folder, ignore_errors=True)


class Program:
    """One connection that stays open, with a token."""

    def __init__(self, served: Served, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=ASKING_S)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, what was answered); status 599 where none came. Waits and asks again where the server says that this actor asks too much."""
        text, again = None if body is None else json.dumps(body), 1
        while True:
            try:
                self._connection.request(method, path, text, self._headers)
                answer = self._connection.getresponse()
                read = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if isinstance(error, ConnectionError) and again:
                    again = 0  # the server closes what was silent for seconds; the next request opens it again
                    continue
                return 599, {}
            if answer.status != 429:
                return answer.status, json.loads(read)
            time.sleep(float(answer.headers.get("Retry-After", "1")))

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Load:
    """What many requests took in milliseconds, how many failed, and how many a second were answered."""

    took_ms: list[float]
    failed: int
    a_second: float


Ask = Callable[[Program, int], int]  # (program, number of the request) -> status


def open_loop(programs: Sequence[Program], ask: Ask, a_second: float, seconds: float) -> Load:
    """Requests at their times whatever the answers take; each is timed from when it was due, so that waiting in line counts."""
    due = [number / a_second for number in range(round(a_second * seconds))]
    took: list[float] = []
    failed = [0]
    lock, begun = threading.Lock(), time.perf_counter() + 0.2
    left = iter(range(len(due)))

    def work(program: Program) -> None:
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            time.sleep(max(0.0, begun + due[number] - time.perf_counter()))
            status = ask(program, number)
            spent = 1000 * (time.perf_counter() - begun - due[number])
            with lock:
                took.append(spent)
                failed[0] += status >= 400

    _all_at_once(programs, work)
    return Load(took, failed[0], len(took) / (time.perf_counter() - begun))


def closed_loop(programs: Sequence[Program], ask: Ask, seconds: float) -> Load:
    """Every program asks again as soon as it is answered."""
    took: list[float] = []
    failed = [0]
    begun = time.perf_counter()
    lock = threading.Lock()

    def work(program: Program) -> None:
        number = programs.index(program) * 10_007
        while time.perf_counter() - begun < seconds:
            started = time.perf_counter()
            status = ask(program, number)
            number += 1
            with lock:
                took.append(1000 * (time.perf_counter() - started))
                failed[0] += status >= 400

    _all_at_once(programs, work)
    return Load(took, failed[0], len(took) / (time.perf_counter() - begun))


def _all_at_once(programs: Sequence[Program], work: Callable[[Program], None]) -> None:
    threads = [threading.Thread(target=work, args=(program,)) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed; the next one above where it lies between two."""
    return float(np.quantile(values, share, method="higher")) if len(values) else float("nan")


def machine() -> str:
    """Cores, memory and versions; no name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}"


def commit() -> str:
    """The commit measured, with a plus where files of the package differ from it."""
    name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "--", "endcap"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return f"{name or 'unknown'}{'+' if changed else ''}"
