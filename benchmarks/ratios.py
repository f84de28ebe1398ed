"""Ratios of two sides timed in turn in one process, and the table of a benchmark: every file beside this one runs through it.

A row is a ratio, ours / peer: it means the same on another machine, seconds do not. `limit` is the largest ratio allowed; the
exit code is 1 where one is missed. `--quick` takes tiny sizes, where ratios mean nothing, and sets no limits; it has a row
for each row of a whole run.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from innercodes import provenance
from innercodes.claims import write_atomically

Section = Callable[[bool], Iterator["Row"]]


@dataclass(frozen=True)
class Row:
    """One comparison. `ratio` is ours / peer; None where the row was skipped, for the reason in `note`."""

    name: str
    ours_seconds: float | None = None
    peer: str = ""
    peer_seconds: float | None = None
    ratio: float | None = None
    limit: float | None = None
    ok: bool = True
    threads: int = 1
    note: str = ""


def compare(
    name: str,
    ours: Callable,
    peer_name: str,
    peer: Callable,
    limit: float | None = None,
    threads: int = 1,
    peer_threads: int = 1,
    repeats: int = 15,
    note: str = "",
) -> Row:
    """Medians of `repeats` runs of both sides in turn, after one run of each that is not counted."""
    if threads > usable_cores():
        return Row(name, peer=peer_name, limit=limit, threads=threads, note="skipped: the machine has one core")
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for turn in range(repeats + 1):
        for side, function, n_threads in (("ours", ours, threads), ("peer", peer, peer_threads)):
            torch.set_num_threads(n_threads)
            start = time.perf_counter()
            function()
            if turn:
                times[side].append(time.perf_counter() - start)
    torch.set_num_threads(1)
    mine, other = statistics.median(times["ours"]), statistics.median(times["peer"])
    return Row(name, mine, peer_name, other, mine / other, limit, limit is None or mine / other <= limit, threads, note)


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory(name: str, imports: str, code: str, peer: str, limit: float) -> Row:
    """Peak memory in a process of its own: `code` sets `added` and `size`, in bytes, with the help of `peak()`."""
    # VmHWM, because ru_maxrss of a new process starts at the peak of the one that started it.
    if not Path("/proc/self/status").is_file():
        return Row(name, peer=peer, limit=limit, note="skipped: needs /proc")
    lines = [
        "import torch", imports, "torch.set_num_threads(1)", "def peak():",
        "    lines = open('/proc/self/status').read().splitlines()",
        "    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))",
        *(line.strip() for line in code.strip().splitlines()), "print(added / size)",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    ratio = float(done.stdout)
    return Row(name, peer=peer, ratio=ratio, limit=limit, ok=ratio <= limit, note="peak bytes / bytes of the array")


def measure(sections: Sequence[Section], quick: bool = False) -> list[Row]:
    """All rows, printed as they come. `quick`: tiny sizes, no limits."""
    torch.set_num_threads(1)
    rows = []
    for section in sections:
        torch.manual_seed(0)
        for row in section(quick):
            row = replace(row, limit=None, ok=True) if quick else row
            rows.append(row)
            print(text(row), flush=True)
    return rows


def text(row: Row) -> str:
    """A row as a line of the table."""
    ratio = "-" if row.ratio is None else f"{row.ratio:.3g}"
    limit = "-" if row.limit is None else f"{row.limit:.3g}"
    verdict = "ok" if row.ok else "MISSED"
    what = f"{row.name} / {row.peer}"
    return f"{what:90} {row.threads} thread{'s' * (row.threads > 1):1} {ratio:>9} {limit:>7} {verdict:7}{row.note}"


def main(
    name: str, sections: Sequence[Section], packages: Sequence[str] = (), arguments: Sequence[str] | None = None
) -> int:
    """Run a benchmark from the command line: writes results/benchmarks/NAME.json and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=provenance.ROOT / "results" / "benchmarks" / f"{name}.json")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and no limits: tests that it runs")
    options = parser.parse_args(arguments)
    print(f"{'ours / peer':90} {'':9} {'ratio':>9} {'limit':>7}")
    rows = measure(sections, options.quick)
    content = {
        "benchmark": name,
        "quick": options.quick,
        "hardware": provenance.hardware(torch.device("cpu")),
        "packages": {
            package: importlib.metadata.version(package)
            for package in sorted({"innercodes", "numpy", "torch", *packages})
        }
        | {"python": platform.python_version()},
        # A comparison of NumPy's numbers is not a bool that JSON knows.
        "rows": [asdict(row) | {"ok": bool(row.ok)} for row in rows],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, json.dumps(content, indent=1, allow_nan=False) + "\n")
    missed = [row for row in rows if not row.ok]
    for row in missed:
        print(f"missed: {row.name} / {row.peer}: {row.ratio:.3g}, allowed {row.limit:.3g}", file=sys.stderr)
    return 1 if missed else 0
