"""The one way into the engine: `engine.py book | chapter | record | sweep | row | repro`, called by the Makefile.

One run at a time may work in `_build`: a second one waits for the first. What a killed run left unfinished is done again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import repro
import run_chapter
import runs
import sweeps
import yaml

from innercodes import claims

BIN = Path(sys.executable).parent
# Begun first, so that no core waits for them at the end.
LONGEST = ("01_symbols", "03_functional_telescope")
GOALS = ("book", "chapter", "record", "sweep", "row", "repro")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("goal", choices=GOALS)
    parser.add_argument("--chapter", default="")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--run", default="default")
    parser.add_argument("--params", default="", help="name=value name=value; quote values that hold spaces")
    parser.add_argument("--sweep", default="", help="a .csv file; of sweep and row")
    parser.add_argument("--row", default="", help="which run of the sweep, counted from 1")
    parser.add_argument("--profile", default="local", help="a folder of workflow/profiles, or any profile of Snakemake")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    try:
        return {"sweep": sweep, "row": one_row, "repro": again}.get(options.goal, run)(options)
    except (runs.UsageError, claims.ClaimsError, SyntaxError, UnicodeError) as error:
        where = f"{error.filename}: " if isinstance(error, SyntaxError) else ""
        print(f"error: {where}{error}", file=sys.stderr)
        return 2
    except OSError as error:
        # A folder that can not be written, a full disk: what was done before is whole, and the next command goes on.
        print(f"error: {error.filename or 'the disk'}: {error.strerror or error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """The book, or one chapter, recorded or not."""
    if options.goal == "book":
        wanted = {key: runs.values(key, {}) for key in runs.quick()}
        target = "book"
    else:
        key = runs.Key(options.preset, options.chapter, options.run)
        wanted = {key: runs.values(key, runs.parse(options.params))}
        target = str(key.folder / "results.json")
    if options.goal == "record":
        runs.refuse_dirty_tree()
    done = snakemake(options, target, wanted)
    if done == 0 and options.goal == "record":
        runs.record(key)
    return done


def sweep(options: argparse.Namespace) -> int:
    """Every row of a sweep, then its table and its page."""
    found = read_sweep(options)
    folder = runs.ROOT / found.folder
    folder.mkdir(parents=True, exist_ok=True)
    described = folder / "sweep.json"
    if not described.is_file() or described.read_text(encoding="utf-8") != found.described():
        # Newer than table and page, so that they are made again; the same text leaves them alone.
        claims.write_atomically(described, found.described())
    inputs = [str(row.key.folder / "results.json") for row in found.rows]
    wanted = {row.key: dict(row.values) for row in found.rows}
    return snakemake(options, str(found.folder / "index.html"), wanted, {found.name: inputs})


def one_row(options: argparse.Namespace) -> int:
    """One row of a sweep, without Snakemake: for a plain job array. A row that is done is left as it is."""
    found = read_sweep(options)
    if not options.row.isdecimal() or not 1 <= int(options.row) <= len(found.rows):
        raise runs.UsageError(f"ROW = {options.row!r}: must be a whole number from 1 to {len(found.rows)}")
    row = found.rows[int(options.row) - 1]
    key, fingerprint = row.key, runs.fingerprint(row.key, row.values)
    return run_chapter.main(key.preset, key.chapter, key.run, json.dumps(row.values), json.dumps(fingerprint))


def again(options: argparse.Namespace) -> int:
    """A recorded run once more, compared with its record number by number."""
    key = runs.Key(options.preset, options.chapter, options.run)
    record, values = repro.prepared(key, runs.parse(options.params))
    copy = runs.Key(key.preset, key.chapter, f"{key.run}.repro")
    if done := snakemake(options, str(copy.folder / "results.json"), {copy: values}):
        return done
    found = json.loads((runs.ROOT / copy.folder / "results.json").read_text(encoding="utf-8"))
    # Compared is compared: the next time it is run again.
    (runs.ROOT / copy.folder / "fingerprint.json").unlink(missing_ok=True)
    return repro.report(key, record, found)


def read_sweep(options: argparse.Namespace) -> sweeps.Sweep:
    local = "executor" not in profile(options.profile)[1]
    return sweeps.read(options.sweep, runs.parse(options.params), here=local and options.goal == "sweep")


def profile(name: str) -> tuple[Path, dict[str, Any]]:
    """A profile's folder and its settings. Raises UsageError for one that does not exist."""
    known = runs.ROOT / "workflow" / "profiles"
    folder = next(
        (f for f in (known / name, Path(name).expanduser().absolute()) if (f / "config.yaml").is_file()), None
    )
    if not name or folder is None:
        names = ", ".join(sorted(f.name for f in known.iterdir()))
        raise runs.UsageError(f"PROFILE = {name!r}: must be one of {names}, or a folder with a config.yaml")
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise runs.UsageError(
            f"{folder / 'config.yaml'}: not readable as YAML: {' '.join(str(error).split())}"
        ) from None
    return folder, settings if isinstance(settings, dict) else {}


def snakemake(
    options: argparse.Namespace,
    target: str,
    wanted: dict[runs.Key, dict[str, Any]],
    collected: dict[str, list[str]] | None = None,
) -> int:
    """Run Snakemake for one target; `wanted` holds the parameters of every run it may have to do, `collected` the results
    that a sweep is made of.

    Everything that can be refused is looked at before: what goes wrong inside a Snakefile is not said in one line.
    """
    build = runs.ROOT / "_build"
    build.mkdir(exist_ok=True)
    claims.papers()
    folder, settings = profile(options.profile)
    runs.needs(folder / "needs.yaml")
    keyed = {key: runs.fingerprint(key, given) for key, given in wanted.items()}
    command = [str(BIN / "snakemake"), "--snakefile", "workflow/Snakefile", "--profile", str(folder)]
    # A cluster has its number of jobs in its profile.
    command += [] if "executor" in settings else ["--cores", str(options.cores)]
    if target == "book":
        command += ["--prioritize", *(str(key.folder / "results.json") for key in wanted if key.chapter in LONGEST)]
    # BLAS and PyTorch take one thread each: two chapters side by side would otherwise fight for the cores.
    environment = os.environ | {
        "INNERCODES_WANTED": str(build / "wanted.json"),
        "INNERCODES_NEEDS": str(folder / "needs.yaml"),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    with runs.locked(build / "engine.lock", "another run works in _build; waiting for it"):
        content = {"runs": {str(key): [wanted[key], keyed[key]] for key in wanted}, "sweeps": collected or {}}
        # A file, not a variable: the jobs of a cluster read it too, and a long sweep is too long for a variable.
        claims.write_atomically(build / "wanted.json", json.dumps(content))
        for key, fingerprint in keyed.items():
            runs.drop_unless(key, fingerprint)
        return subprocess.run([*command, "--", target], cwd=runs.ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
