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
from typing import Any

import runs

from innercodes import claims

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
            wanted = {key: runs.values(key, {}) for key in runs.quick()}
        else:
            key = runs.Key(options.preset, options.chapter, options.run)
            wanted = {key: runs.values(key, runs.parse(options.params))}
        if options.goal == "record":
            runs.refuse_dirty_tree()
        done = snakemake(options.cores, options.goal == "book", wanted)
        if done == 0 and options.goal == "record":
            runs.record(key)
        return done
    except (runs.UsageError, claims.ClaimsError, SyntaxError, UnicodeError) as error:
        where = f"{error.filename}: " if isinstance(error, SyntaxError) else ""
        print(f"error: {where}{error}", file=sys.stderr)
        return 2


def snakemake(cores: int, site: bool, wanted: dict[runs.Key, dict[str, Any]]) -> int:
    """Run Snakemake for the site or for one run; `wanted` holds the parameters of every run it may have to do.

    Everything that can be refused is looked at before: what goes wrong inside a Snakefile is not said in one line.
    """
    build = runs.ROOT / "_build"
    build.mkdir(exist_ok=True)
    claims.papers()
    keyed = {key: runs.fingerprint(key, given) for key, given in wanted.items()}
    target = "book" if site else str(next(iter(wanted)).folder / "results.json")
    command = [str(BIN / "snakemake"), "--snakefile", "workflow/Snakefile", "--profile", "workflow/profiles/local"]
    command += ["--cores", str(cores), "--", target]
    # BLAS and PyTorch take one thread each: two chapters side by side would otherwise fight for the cores.
    environment = os.environ | {
        "INNERCODES_WANTED": json.dumps({str(key): [wanted[key], keyed[key]] for key in wanted}),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    with (build / "engine.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run works in _build; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for key, fingerprint in keyed.items():
            runs.drop_unless(key, fingerprint)
        return subprocess.run(command, cwd=runs.ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
