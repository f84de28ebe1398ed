"""The one way into the engine: `engine.py book | chapter | record`, called by the Makefile.

One run at a time may work in `_build`: a second one waits for the first. What a killed run left unfinished is done again.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import runs

BIN = Path(sys.executable).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("goal", choices=("book", "chapter", "record"))
    parser.add_argument("--chapter", default="")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--run", default="default")
    parser.add_argument("--params", default="", help="name=value name=value; quote values that hold spaces")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    try:
        if options.goal == "book":
            return snakemake(options.cores, "book")
        key = runs.Key(options.preset, options.chapter, options.run)
        given = runs.values(key, runs.parse(options.params))
        if options.goal == "record":
            runs.refuse_dirty_tree()
        done = snakemake(options.cores, str(key.folder / "results.json"), {str(key): given})
        if done == 0 and options.goal == "record":
            runs.record(key)
        return done
    except runs.UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def snakemake(cores: int, target: str, given: dict | None = None) -> int:
    """Run Snakemake for one target; `given` holds the parameters of runs that were asked for on the command line."""
    build = runs.ROOT / "_build"
    build.mkdir(exist_ok=True)
    command = [str(BIN / "snakemake"), "--snakefile", "workflow/Snakefile", "--profile", "workflow/profiles/local"]
    command += ["--cores", str(cores), "--", target]
    # BLAS and PyTorch take one thread each: two chapters side by side would otherwise fight for the cores.
    environment = os.environ | {
        "INNERCODES_GIVEN": json.dumps(given or {}), "OMP_NUM_THREADS": "1", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    with (build / "engine.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run works in _build; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return subprocess.run(command, cwd=runs.ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
