"""What holds the house together: one set of pins, one version, pinned actions, no machine's trace, paired notebooks."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
MAX_MEGABYTES = 40


def lock() -> dict[str, set[Version]]:
    """Each locked package with its versions: more than one where the lock's markers part the platforms."""
    pins: dict[str, set[Version]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if re.match(r"\w", line):
            pin = Requirement(re.split(r"\s+(?:\\|#|--hash)", line)[0])
            (specifier,) = pin.specifier
            assert specifier.operator == "==", f"not a pin: {line}"
            pins.setdefault(canonicalize_name(pin.name), set()).add(Version(specifier.version))
    return pins


def tracked() -> list[Path]:
    """Files in the index and those that the next `git add` would bring."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    files = [ROOT / name for name in sorted(set(names) - {""}) if (ROOT / name).is_file()]
    assert ROOT / "pyproject.toml" in files
    return files


def test_environment_has_the_pins_of_the_lock():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    flat = [name for entry in entries for name in (entry["pip"] if isinstance(entry, dict) else [entry])]
    found = [re.match(r"(?:[\w-]+::)?([\w.-]+)(?:\[.*?\])?\s*={1,2}\s*([\w.+!]+)", entry) for entry in flat]
    pins = {canonicalize_name(match[1]): Version(match[2]) for match in found if match}
    pins = {name: version for name, version in pins.items() if name not in ("python", "pip")}
    locked = lock()
    assert pins or "-r requirements.lock" in flat, "environment.yml pins nothing"
    assert {name: version for name, version in pins.items() if version not in locked.get(name, ())} == {}


@pytest.mark.parametrize("line", DIRECT)
def test_lock_satisfies_direct_dependency(line):
    need = Requirement(line)
    versions = lock().get(canonicalize_name(need.name), set())
    assert versions, f"{need.name} is not in requirements.lock"
    assert all(need.specifier.contains(version, prereleases=True) for version in versions), versions


WORKFLOWS = sorted(path for path in (ROOT / ".github" / "workflows").iterdir())


def test_every_workflow_is_looked_at():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "gpu.yml", "nightly.yml", "pages.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_is_pinned_and_bounded(path):
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"^[ -]*uses:\s*(.+?)\s*$", text, re.MULTILINE)
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}\s+# v\d+\.\d+\.\d+", use)] == []
    flow = yaml.safe_load(text)
    assert flow["permissions"] == {"contents": "read"}
    assert [job for job, spec in flow["jobs"].items() if "timeout-minutes" not in spec] == []
    steps = [step for spec in flow["jobs"].values() for step in spec["steps"]]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == [], "hand values to the shell through env"


def steps_of(workflow: str, job: str) -> list[str]:
    """The commands of a job."""
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text(encoding="utf-8"))
    assert "if" not in flow["jobs"][job]
    return [line.strip() for step in flow["jobs"][job]["steps"] for line in step.get("run", "").splitlines()]


def test_the_locked_packages_are_audited_on_every_push():
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    # YAML 1.1 reads the key `on` as True.
    assert {"push", "pull_request"} <= set(flow[True]) and not flow["jobs"]["audit"].get("continue-on-error")
    assert "make audit" in steps_of("ci", "audit")
    (recipe,) = re.findall(r"^audit: .*\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert re.search(r" pip-audit==\d[\d.]* --requirement requirements\.lock ", recipe)


def test_the_nightly_tests_have_a_site_and_a_browser():
    (needs,) = re.findall(r"^nightly: (.*?) *##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert needs == "book"
    chromium = [line for line in steps_of("ci", "book") if "chromium" in line]
    assert chromium and set(chromium) <= set(steps_of("nightly", "long"))


def test_dependabot_holds_jupyter_book_below_2():
    config = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    updates = {update["package-ecosystem"]: update for update in config["updates"]}
    assert set(updates) == {"github-actions", "pip"}
    (rule,) = (rule for rule in updates["pip"]["ignore"] if rule["dependency-name"] == "jupyter-book")
    blocked = [SpecifierSet(words) for words in rule["versions"]]
    for version, stopped in (("1.0.4", False), ("1.9", False), ("2.0.0", True), ("2.1.3", True), ("3.0", True)):
        assert any(versions.contains(version) for versions in blocked) is stopped, version
    assert all(version < Version("2") for version in lock()["jupyter-book"])


def test_the_image_of_the_devcontainer_is_pinned():
    """By a version and the release of its system; a digest, where one stands there, must be whole."""
    image = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))["image"]
    assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+:(\d+-)?\d+\.\d+-[a-z]+(@sha256:[0-9a-f]{64})?", image), image
    python = re.search(r":(?:\d+-)?(\d+\.\d+)-", image)[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(citation["version"]) == PROJECT["version"]


# Each with an example it must find, `|` for `/` so that this file does not hold it.
MACHINE = {
    "folder": (r"/(?<![\w.~$})\]-]/)(?:home|root|work|Users|mnt)/[\w.]", "|home|me|imagenet"),
    "drive": (r"[A-Za-z]:[\\/]{1,2}Users[\\/]", "C:|Users|me"),
    "temporary": (r"/(?<![\w.~$})\]-]/)tmp/[\w.]", "|tmp|run"),
    "file url": (r"file:///\w", "file:|||opt|wheels"),
    "host": (r"(?://|@)[\w.-]+\.(?:corp|internal|intranet|lan|local|localdomain)\b", "https:||pypi.corp|simple"),
    "address": (
        r"(?://|@)(?:10(?:\.\d{1,3}){3}|(?:192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2})(?!\d)",
        "http:||192.168.0.7:3141",
    ),
}


@pytest.mark.parametrize("kind", MACHINE)
def test_no_trace_of_a_machine(kind):
    pattern, example = re.compile(MACHINE[kind][0].encode()), MACHINE[kind][1].replace("|", "/")
    assert pattern.search(example.encode())
    files = [file for file in tracked() if not (kind == "temporary" and file.is_relative_to(ROOT / "tests"))]
    hits = {str(file.relative_to(ROOT)): pattern.search(file.read_bytes()) for file in files}
    assert {name: hit[0] for name, hit in hits.items() if hit} == {}


def test_repository_stays_small():
    assert sum(file.stat().st_size for file in tracked()) < MAX_MEGABYTES * 1e6


def test_every_chapter_is_a_pair():
    assert NOTEBOOKS
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "jupytext"}
    assert notebook.metadata.kernelspec.name == "python3"  # without one papermill finds no language
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_in_step(source):
    pair = [jupytext.read(source), jupytext.read(source.with_suffix(".ipynb"))]
    written, stored = ([(c.cell_type, c.metadata.get("tags", []), c.source) for c in nb.cells] for nb in pair)
    assert stored == written, "run: jupytext --to ipynb --update notebooks/*.py"


def test_every_formula_is_numbered_and_referred_to():
    text = "\n".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    named = re.findall(r"\$\$[^$]+\$\$(?: \((eq-[\w-]+)\))?", text)
    assert len(named) > 5 and set(named) == set(re.findall(r"\{eq\}`(eq-[\w-]+)`", text))


def test_the_readme_counts_what_the_book_found():
    import readme

    assert readme.tally() in (ROOT / "README.md").read_text(encoding="utf-8"), "run `make readme`"
