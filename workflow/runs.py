"""Runs of chapters: which there are, their parameters, what they are keyed on, and how one is recorded."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drawings
import nbformat
import yaml

from innercodes import claims, parameters, provenance

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINTS = ROOT / "src" / "innercodes" / "checkpoints"


class UsageError(ValueError):
    """One line that names what was asked for and what is allowed."""


@dataclass(frozen=True)
class Key:
    """A run: chapter, preset and name."""

    preset: str
    chapter: str
    run: str

    def __str__(self) -> str:
        return f"{self.preset}/{self.chapter}--{self.run}"

    @property
    def folder(self) -> Path:
        """Where it runs, relative to the root."""
        return Path("_build/runs") / str(self)


def chapters() -> list[str]:
    """The chapters that are written."""
    return sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.py"))


def quick() -> list[Key]:
    """The run of every chapter that the site shows live."""
    return [Key("quick", chapter, "default") for chapter in chapters()]


def parse(text: str) -> dict[str, str]:
    """`name=value name="a value"` as a dict. Raises UsageError for a word without '='."""
    try:
        text.encode()
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"PARAMS = {text!r}: {error}") from None
    for word in words:
        if "=" not in word:
            raise UsageError(f"PARAMS: {word!r} must be name=value")
    return dict(word.split("=", 1) for word in words)


def values(key: Key, given: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a run: the preset's file, then what was given, as the types that the chapter declares.

    Raises UsageError for a chapter, preset or run that does not exist. Values are checked in the notebook; one that can
    not be read as its type goes there as it is, and is refused there.
    """
    if key.chapter not in chapters():
        raise UsageError(f"CHAPTER = {key.chapter!r}: must be one of {', '.join(chapters())}")
    if key.preset not in parameters.PRESETS:
        raise UsageError(f"PRESET = {key.preset!r}: must be one of {', '.join(parameters.PRESETS)}")
    path = ROOT / "presets" / f"{key}.yml"
    if not re.fullmatch(r"[\w.-]+", key.run) or not path.is_file():
        known = sorted(p.stem.split("--", 1)[1] for p in path.parent.glob(f"{key.chapter}--*.yml"))
        raise UsageError(
            f"RUN = {key.run!r}: must be one of {', '.join(known) or 'none yet'} (files in presets/{key.preset})"
        )
    try:
        merged = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"presets/{key}.yml: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(merged, dict):
        raise UsageError(f"presets/{key}.yml: must hold 'name: value' lines")
    declared = {p.name: p for p in parameters.CHAPTERS.get(key.chapter, ())}
    if not declared:
        raise UsageError(f"CHAPTER = {key.chapter!r}: declares no parameters in innercodes/parameters.py")
    for name, text in given.items():
        if name in ("preset", "run", "out_dir"):
            raise UsageError(f"PARAMS: {name} is set by the command; use PRESET= and RUN=")
        merged[name] = _typed(declared.get(name), text)
    for name, value in merged.items():
        # The notebook runs in its own folder; a path was meant from where the command was given.
        if name in declared and declared[name].path and value and isinstance(value, str) and "\0" not in value:
            merged[name] = str(Path(value).expanduser().absolute())
    # The run has its own folder and works in it.
    return merged | {"preset": key.preset, "run": key.run, "out_dir": "."}


def _typed(parameter: parameters.Parameter | None, text: str) -> Any:
    if parameter is None or parameter.kind is str:
        return text
    if parameter.kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return parameter.kind(text)
    except ValueError:
        return text


def fingerprint(key: Key, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is keyed on: it is repeated when one of these changes, and only then."""
    declared = {p.name: p for p in parameters.CHAPTERS[key.chapter]}
    return {
        "source_hash": provenance.source_hash(key.chapter),
        "lock_hash": provenance.lock_hash(),
        "claims_hash": provenance.claims_hash(key.chapter),
        "checkpoints": _contents(CHECKPOINTS),
        "values": dict(given),
        # What lies behind a path, so that new weights under an old name count.
        "paths": {
            n: content_of(v)
            for n, v in given.items()
            if n in declared and declared[n].path and isinstance(v, str) and v
        },
    }


LEFT = ("results.json", "chapter.ipynb")
"""What a finished run leaves in its folder."""


def has(key: Key, wanted: Mapping[str, Any]) -> bool:
    """Whether the last run that began in the folder has this fingerprint."""
    try:
        return json.loads((ROOT / key.folder / "fingerprint.json").read_text(encoding="utf-8")) == wanted
    except (FileNotFoundError, ValueError):  # none, or one that a crash cut off
        return False


def drop_unless(key: Key, wanted: Mapping[str, Any]) -> None:
    """Take away what an earlier run left unless it has this fingerprint: Snakemake's own memory of it may be gone."""
    if not has(key, wanted):
        (ROOT / key.folder / "results.json").unlink(missing_ok=True)


def begin(key: Key, wanted: Mapping[str, Any]) -> None:
    """Make the folder of a run, without anything of an earlier one, and say what the run is keyed on."""
    folder = ROOT / key.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in LEFT:
        (folder / f".{name}").unlink(missing_ok=True)
        (folder / name).unlink(missing_ok=True)
    (folder / "fingerprint.json").write_text(json.dumps(wanted), encoding="utf-8")


def finish(key: Key, partial: Path) -> None:
    """Give the notebook of a finished run its name, and all that the run left a second one, which Snakemake does not know."""
    folder = ROOT / key.folder
    # On a file system without links such a run is only done again where `restored` would have put it back.
    with contextlib.suppress(OSError):
        for name, path in zip(LEFT, (folder / "results.json", partial), strict=True):
            os.link(path, folder / f".{name}")
    partial.replace(folder / "chapter.ipynb")


def restored(key: Key, wanted: Mapping[str, Any]) -> bool:
    """Whether a run is done, its files put back where Snakemake took them away.

    Snakemake deletes what it has not itself seen finished: a run that ended just before a kill, on a lost worker, or as a row
    of its own beside a sweep.
    """
    folder = ROOT / key.folder
    if not has(key, wanted):
        return False
    for name in LEFT:
        if not (folder / name).is_file() and (folder / f".{name}").is_file():
            os.link(folder / f".{name}", folder / name)
    return all((folder / name).is_file() for name in LEFT)


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Alone in what the lock stands for. It goes with the process, so that a killed one leaves none behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(waiting, file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def needs(path: Path) -> dict[str, dict[str, Any]]:
    """What runs need of a cluster: for "default", a chapter, or preset/chapter, the names of resources with their values.

    Empty where a profile has no such file. Raises UsageError for one that can not be read, or that names what "default"
    does not name.
    """
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = set(found["default"])
        odd = [f"{entry}.{name}" for entry, values in found.items() for name in values if name not in known]
    except (yaml.YAMLError, UnicodeError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise UsageError(
            f"{path.name}: must have entries 'name: {{resource: value}}', 'default' first: {why}"
        ) from None
    if odd:
        raise UsageError(f"{path.name}: {odd[0]}: must be one of {', '.join(sorted(known))}, which 'default' names")
    return found


def need(found: Mapping[str, Mapping[str, Any]], preset: str, chapter: str) -> dict[str, Any]:
    """What one run needs: the default, over it what stands for the preset, the chapter, and the two together."""
    entries = ("default", preset, chapter, f"{preset}/{chapter}")
    return {name: value for entry in entries for name, value in found.get(entry, {}).items()}


def refuse_dirty_tree() -> None:
    """Raise UsageError unless all is committed: a recorded number must belong to a commit."""
    status = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False)
    if status.returncode or status.stdout.strip():
        changed = ", ".join(line[3:] for line in status.stdout.splitlines()[:3]) or "no git repository"
        raise UsageError(f"the tree is not clean ({changed}): commit first, so that the record belongs to a commit")


def record(key: Key) -> None:
    """Copy a finished run to results/, with no path of this machine and no picture of the data in it."""
    content = json.loads((ROOT / key.folder / "results.json").read_text(encoding="utf-8"))
    done = json.loads((ROOT / key.folder / "fingerprint.json").read_text(encoding="utf-8"))
    notebook = nbformat.read(ROOT / key.folder / "chapter.ipynb", as_version=4)
    if content["provenance"]["dirty"]:
        raise UsageError(
            f"{key} was run in a tree with changes that were not committed: remove {key.folder} and record again"
        )
    # Name and hash, the hash taken before the run.
    content["parameters"] |= done["paths"]
    target = ROOT / "results" / f"{key}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    claims.write_atomically(target.with_suffix(".ipynb"), compact(figures_only(notebook)))
    claims.write_atomically(target, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    print(f"recorded {target.relative_to(ROOT)}")


def paths(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The parameters of a results file that hold a path, with their values."""
    declared = {p.name: p for p in parameters.CHAPTERS[content["chapter"]]}
    return [(n, value) for n, value in content["parameters"].items() if n in declared and declared[n].path and value]


def content_of(value: str) -> str:
    """A file or folder as its name and a hash; what is missing is refused in the notebook, by name."""
    path = Path(value)
    if "\0" in value or not path.exists():
        return "missing"
    if path.is_file():
        return f"{path.name} (sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})"
    # A folder can hold any amount of data: its hash is that of the names and sizes in it.
    listing = sorted(f"{p.relative_to(path)} {p.stat().st_size}" for p in path.rglob("*") if p.is_file())
    return (
        f"{path.name} ({len(listing)} files, sha256 {hashlib.sha256(chr(10).join(listing).encode()).hexdigest()[:16]})"
    )


def _contents(folder: Path) -> str:
    """The hash of all files below a folder, names and contents."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def compact(notebook: nbformat.NotebookNode) -> str:
    """A notebook as text without blanks and broken lines, a third smaller: nobody reads recorded ones as text."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                output.data["text/html"] = drawings.lean(output.data["text/html"])
    return nbformat.writes(notebook, indent=None, separators=(",", ":"), split_lines=False) + "\n"


def figures_only(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook that holds nothing but the figures of another one."""
    cells = []
    for cell in notebook.cells:
        outputs = [o for o in cell.get("outputs", ()) if "figure" in o.get("metadata", {}).get("innercodes", {})]
        if outputs:
            cells.append(nbformat.v4.new_code_cell(outputs=outputs, id=outputs[0].metadata.innercodes.figure[:64]))
    return nbformat.v4.new_notebook(cells=cells)
