"""Run a command and say what it cost: CPU seconds of it and all its workers, peak memory of them together, seconds on the clock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
SAMPLE_S = 0.1


@dataclass(frozen=True)
class Cost:
    """What one command cost. `peak_mb` is sampled over the process and its descendants, so that shared pages count more than once."""

    cpu_s: float
    peak_mb: float
    wall_s: float
    returncode: int
    stdout: str


def measure_command(*command: str) -> Cost:
    """Run a command to its end; its stderr goes to ours."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peaks = [0.0]
    sampler = threading.Thread(target=_sample, args=(process.pid, peaks), daemon=True)
    sampler.start()
    before = os.times()
    stdout, _nothing = process.communicate()
    after = os.times()
    cpu_s = after.children_user - before.children_user + after.children_system - before.children_system
    return Cost(round(cpu_s, 2), round(peaks[0], 1), round(time.monotonic() - started, 2), process.returncode, stdout)


def endcap(*arguments: str) -> Cost:
    """Measure one `endcap` command of this installation."""
    return measure_command(str(Path(sys.executable).with_name("endcap")), *arguments)


def _sample(pid: int, peaks: list[float]) -> None:
    while Path(f"/proc/{pid}").exists():
        peaks[0] = max(peaks[0], sum(_resident_mb(one) for one in _tree(pid)))
        time.sleep(SAMPLE_S)


def _tree(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    except (OSError, IndexError):
        return 0.0
