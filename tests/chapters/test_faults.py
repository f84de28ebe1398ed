"""Faults that really happen to a run: each ends in one clear line and loses nothing. book/faults.md lists them all."""

import functools
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pytest
import runs
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from tiny import ROOT

from innercodes import (
    causal,
    code_networks,
    data,
    language_codes,
    lens_networks,
    models,
    parameters,
    pictures,
    stitching,
    symbol_networks,
    text,
    twins,
)
from innercodes.parameters import ParameterError

CHAPTER = "02_sparse_interactions"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}


def python(code: str, *words: str, folder: Path = ROOT, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(folder / "src")}, **options,
    )  # fmt: skip


def engine(folder: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "workflow/engine.py", *words], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}, timeout=1200,
    )  # fmt: skip


def errors(done: subprocess.CompletedProcess) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


WRITE = """
import os, sys, time
from pathlib import Path
from innercodes import claims
real = os.fsync
def slow(handle):
    real(handle)
    print("written", flush=True)
    time.sleep(600)
os.fsync = slow
claims.write_atomically(Path(sys.argv[1]), "new " * 100_000)
"""


def test_kill_9_in_the_middle_of_a_write(tmp_path):
    """All bytes are on the disk, under another name, when the process dies; the old file is whole, and the next write goes on."""
    from innercodes import claims

    target = tmp_path / "results.json"
    target.write_text('{"old": 1}')
    process = python(WRITE, str(target))
    assert process.stdout.readline() == "written\n", process.stderr.read()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert json.loads(target.read_text()) == {"old": 1}
    claims.write_atomically(target, '{"new": 2}')
    assert json.loads(target.read_text()) == {"new": 2}


@pytest.fixture
def read_only(tmp_path):
    """A folder that cannot be written, not even by root."""
    folder = tmp_path / "read only"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"root writes everywhere, and mounting is refused: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_output_folder(read_only):
    for out_dir in (read_only, read_only / "below"):
        with pytest.raises(
            ParameterError, match=r"^out_dir = .* must be a folder that is there, or can be made"
        ) as caught:
            parameters.check(CHAPTER, DEFAULTS | {"out_dir": str(out_dir)})
        assert "\n" not in str(caught.value)


def test_a_read_only_build_folder(checkout, read_only):
    (checkout / "_build").symlink_to(read_only)
    done = engine(checkout, "chapter", "--chapter", CHAPTER)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = errors(done)
    assert "_build" in line and ("Read-only file system" in line or "Permission denied" in line)


def test_a_truncated_checkpoint(tmp_path):
    whole = models.checkpoint("parity_mlp", 0)
    content = Path(whole).read_bytes()
    path = tmp_path / "torn.safetensors"
    for kept in (0, 7, 200, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(ParameterError, match=r"^weights = 'torn\.safetensors': ") as caught:
            models.load("mlp3", 0, str(path), inputs=10, outputs=2)
        assert "\n" not in str(caught.value)


def test_a_checkpoint_with_a_flipped_bit(tmp_path):
    """In the header it is refused. Among the numbers no format tells; but the run is keyed on the content, and repeated."""
    whole = Path(models.checkpoint("parity_mlp", 0)).read_bytes()
    header = int.from_bytes(whole[:8], "little")
    path = tmp_path / "flipped.safetensors"
    key, seen = runs.Key("quick", CHAPTER, "default"), set()
    names = [found.start() for found in re.finditer(rb'"(?:dtype|shape|data_offsets)"', whole[: 8 + header])]
    for place in (*(name + 1 for name in names[:3]), 7):
        path.write_bytes(flipped(whole, place))
        with pytest.raises(ParameterError, match=r"^weights = 'flipped\.safetensors': "):
            models.load("mlp3", 0, str(path), inputs=10, outputs=2)
    for content in (whole, flipped(whole, 8 + header + 100), flipped(whole, len(whole) - 1)):
        path.write_bytes(content)
        seen.add(runs.fingerprint(key, {"weights": str(path)})["paths"]["weights"])
    assert len(seen) == 3


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]


BAD = {"0 ü.png": 0, "4 ü.png": 50}
"""How many bytes are left of two of ten pictures."""


def bad_set(root: Path) -> tuple[list[str], list[str]]:
    """Ten pictures, two of them spoilt; gives the names of the spoilt ones and of the others."""
    for i in range(10):
        file = root / "set" / "train" / "ab"[i % 2] / f"{i} ü.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 20 * i, np.uint8)).save(file)
        file.write_bytes(file.read_bytes()[: BAD.get(file.name)])
    names = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.png"))
    return [name for name in names if Path(name).name in BAD], [name for name in names if Path(name).name not in BAD]


def loader(run: parameters.Run) -> Callable[[], dict]:
    """What the run's chapter calls for its folders; it gives what was left out."""
    names = ("dataset", "data_root", "fitted", "unseen", "seed")
    return {
        "01_symbols": lambda: symbol_networks.show(run).left_out,
        "03_functional_telescope": lambda: pictures.left_out(
            *pictures.load(*(getattr(run, name) for name in names), None, run.unreadable)
        ),
        "04_coding_spectra": lambda: code_networks.show(run).left_out,
        "05_four_lenses": lambda: symbol_networks.show(lens_networks.on_pictures(run)).left_out,
    }[run.chapter]


READ_FOLDERS = [chapter for chapter, known in parameters.CHAPTERS.items() if any(p.name == "unreadable" for p in known)]


def test_every_chapter_on_folders_says_what_becomes_of_bad_files():
    said = {
        chapter for chapter, known in parameters.CHAPTERS.items() if any("folder below" in p.meaning for p in known)
    }
    assert set(READ_FOLDERS) == said and len(said) == 4


@pytest.mark.parametrize("unreadable", ["refuse", "skip"])
@pytest.mark.parametrize("chapter", READ_FOLDERS)
def test_a_picture_that_does_not_decode_among_good_ones(tmp_path, chapter, unreadable, monkeypatch):
    """Through what each chapter calls: all are named and counted before any work, or left out, counted and named."""
    bad, good = bad_set(tmp_path)
    values = defaults(chapter) | {"dataset": "set", "data_root": str(tmp_path), "unreadable": unreadable}
    values |= {"out_dir": str(tmp_path / "out")} | ({"regions": "full"} if "regions" in values else {})
    run = parameters.check(chapter, values)
    if unreadable == "refuse":
        with pytest.raises(ParameterError) as caught:
            loader(run)()
        line = str(caught.value)
        assert line.startswith("data_root: set holds 2 files that cannot be read: ") and "\n" not in line
        assert all(name in line for name in bad) and not any(name in line for name in good)
        return
    # Ten pictures are too few for a spectrum: only how many are left out is asked here.
    with pytest.warns(UserWarning, match="^set: left out 2 files that cannot be read: "):
        if chapter == "04_coding_spectra":
            with pytest.raises(ParameterError, match="holds 2 other pictures; a spectrum needs 100"):
                loader(run)()
        else:
            assert loader(run)() == {"files": 2, "names": bad}


def test_a_text_file_in_another_encoding(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "sst2_train.tsv").write_text("sentence\tlabel\na café here\t1\n" * 2, encoding="latin-1")
    (folder / "sst2_dev.tsv").write_text("sentence\tlabel\na café here\t1\n" * 2, encoding="utf-8")
    values = DEFAULTS | {
        "dataset": "sst2",
        "model": "lstm",
        "data_root": str(tmp_path),
        "out_dir": str(tmp_path / "out"),
    }
    with pytest.raises(
        ParameterError, match=r"^data_root = 'sst2_train\.tsv': must be a folder with this file in text/"
    ):
        text.sst2(parameters.check(CHAPTER, values))


def test_labels_that_do_not_match(tmp_path):
    """Ten digits and nine labels."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    whole = np.zeros((10, 28, 28), np.uint8)
    (raw / "train-images-idx3-ubyte").write_bytes(
        b"\0\0\x08\x03" + np.array(whole.shape, ">i4").tobytes() + whole.tobytes()
    )
    (raw / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + np.array([9], ">i4").tobytes() + bytes(9))
    with pytest.raises(ParameterError, match=r"^data_root = .*MNIST/raw"):
        data.load("mnist3", "train", str(tmp_path))


def test_weights_of_another_number_of_classes(tmp_path):
    path = tmp_path / "ten.safetensors"
    save_file(models.load("mlp3", 0, inputs=10, outputs=10).state_dict(), path)
    with pytest.raises(ParameterError, match=r"^weights = 'ten\.safetensors': not weights of mlp3: "):
        models.load("mlp3", 0, str(path), inputs=10, outputs=2)


@pytest.mark.parametrize("given", [{}, {"seed": 4}], ids=["as it is", "with a value"])
def test_a_notebook_without_its_parameters_cell(papermill, tmp_path, given):
    """papermill then injects at the top what was given, and everything else is missing."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{CHAPTER}.ipynb", as_version=4)
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    assert len(tagged) == 1
    notebook.cells.remove(tagged[0])
    nbformat.write(notebook, tmp_path / "cut.ipynb")
    done, results = papermill(CHAPTER, notebook=tmp_path / "cut.ipynb", **given)
    assert done.returncode != 0 and results is None
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ParameterError: preset: missing from the notebook's parameters cell"


ODD = ["with spaces", "it's", 'a "word"', "ü ж 漢", "$HOME `x` ;&|", "{wildcards}", "%s \\n"]
PATHS = [
    (chapter, p.name) for chapter, declared in parameters.CHAPTERS.items() for p in declared if p.path or p.name == "out_dir"
]  # fmt: skip


def defaults(chapter: str) -> dict:
    return {p.name: p.default for p in parameters.CHAPTERS[chapter]}


@pytest.fixture(scope="module")
def prints():
    """The fingerprint of a run; what it says of the code, which takes long, is worked out once for each chapter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs.provenance, "source_hash", functools.cache(runs.provenance.source_hash))
        patch.setattr(runs, "_contents", functools.cache(runs._contents))
        yield runs.fingerprint


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(("chapter", "name"), PATHS)
def test_odd_names_in_path_parameters(chapter, name, odd, tmp_path, prints):
    """Each is taken as it is; one that is missing is named in one line. `..` leads where it says."""
    folder = tmp_path / odd
    folder.mkdir()
    path = str(folder / ".." / odd)
    out = {} if name == "out_dir" else {"out_dir": str(tmp_path / "out")}
    assert parameters.check(chapter, defaults(chapter) | out | {name: path}).values[name] == path
    if name == "out_dir":
        return
    with pytest.raises(ParameterError, match=f"^{name} = .*: must be a f") as caught:
        parameters.check(chapter, defaults(chapter) | out | {name: path + "?"})
    assert "\n" not in str(caught.value)
    key = runs.Key("quick", chapter, "default")
    values = runs.values(key, runs.parse(f"{name}={runs.shlex.quote(path)}"))
    assert values[name] == path
    assert prints(key, values)["paths"][name].startswith(f"{odd} (0 files")


class _Loaded(Exception):
    """What a loader gave; a chapter need not go on."""


def _read_pictures(chapter, path, monkeypatch):
    for split in ("train", "val"):
        (path / "set" / split / "a").mkdir(parents=True)
        Image.new("RGB", (8, 8), (0, 128, 255)).save(path / "set" / split / "a" / "1.png")
    run = parameters.check(chapter, defaults(chapter) | {"data_root": str(path), "out_dir": str(path / "out")})
    return pictures.load("set", run.data_root, 10, 10, 0)[0].tensors()[0]


def _read_own_weights(chapter, path, monkeypatch):
    save_file(models.load("mlp3", 5, inputs=10, outputs=2).state_dict(), path / f"{path.name}.safetensors")
    file = str(path / f"{path.name}.safetensors")
    run = parameters.check(chapter, defaults(chapter) | {"weights": file, "out_dir": str(path / "out")})
    return models.load("mlp3", 0, run.weights, inputs=10, outputs=2)[0].weight


def _read_other_weights(chapter, path, monkeypatch, name):
    """The weights of a second network, up to where that network has them."""
    save_file(models.load("resnet8", 5).state_dict(), path / f"{path.name}.safetensors")
    file = str(path / f"{path.name}.safetensors")
    run = parameters.check(chapter, defaults(chapter) | {name: file, "out_dir": str(path / "out")})
    digits = pictures.load("digits", "", 20, 20, 0)[0]
    if name == "beyond_weights":
        other = symbol_networks.other_run(run, "resnet8")
        return twins._given(other, twins.network_sizes(other, digits)).conv1.weight

    def build(other, *_, **more):
        raise _Loaded(twins._given(other, twins.network_sizes(other, digits)).conv1.weight)

    monkeypatch.setattr(stitching.twins, "build", build)
    with pytest.raises(_Loaded) as caught:
        stitching.study(run, {"trained": [models.load("resnet20", 0)]}, None, None)
    return caught.value.args[0]


def _read_language(chapter, path, monkeypatch):
    folder = path / path.name
    shutil.copytree(causal.DOCSTRING_MODEL, folder)
    run = parameters.check(chapter, defaults(chapter) | {"language_weights": str(folder), "out_dir": str(path / "out")})
    real = causal.load

    def load(*words):
        raise _Loaded(real(*words)[0])

    monkeypatch.setattr(causal, "load", load)
    with pytest.raises(_Loaded) as caught:
        language_codes.read(run)
    return caught.value.args[0].get_input_embeddings().weight


READERS = {
    "data_root": _read_pictures,
    "weights": _read_own_weights,
    "partner_weights": functools.partial(_read_other_weights, name="partner_weights"),
    "beyond_weights": functools.partial(_read_other_weights, name="beyond_weights"),
    "language_weights": _read_language,
}
LOADED = [(chapter, name) for chapter, name in PATHS if name != "out_dir"]


def test_every_path_parameter_has_a_reader():
    assert {name for _, name in LOADED} == set(READERS)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", READERS)
def test_what_lies_behind_odd_names_is_read(name, odd, tmp_path, monkeypatch):
    """The same numbers as from a plain name."""
    found = []
    for folder in (tmp_path / "plain", tmp_path / odd):
        folder.mkdir()
        chapter = next(chapter for chapter, known in reversed(LOADED) if known == name)
        with monkeypatch.context() as patch:
            found.append(READERS[name](chapter, folder, patch))
    assert found[0].numel() and torch.equal(*found)


@pytest.fixture
def shortest_checkout(short_checkout):
    """The copy with chapter 02 ending where its results begin: nothing is judged, and all the rest is real."""
    source = short_checkout / "notebooks" / f"{CHAPTER}.py"
    head, *cells = re.split(r"^(?=# %%)", source.read_text(), flags=re.MULTILINE)
    begun = next(i for i, cell in enumerate(cells) if "results = claims.Results(" in cell)
    source.write_text("".join([head, *cells[: begun + 1], cells[-1]]))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "shortest"]
    subprocess.run(git, cwd=short_checkout, check=True)
    return short_checkout


def test_two_runs_at_once_in_one_folder(shortest_checkout, seeds, tmp_path):
    """Two processes want the same run: one makes it, the other waits, and finds what the first one left."""
    file = seeds(tmp_path / "one.csv", 1)
    words = [sys.executable, "workflow/engine.py", "row", "--sweep", str(file), "--row", "1"]
    both = [
        subprocess.Popen(
            words, cwd=shortest_checkout, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(shortest_checkout / "src"), "OMP_NUM_THREADS": "1"},
        )
        for _ in range(2)
    ]  # fmt: skip
    ended = [(process.communicate(timeout=1200), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    waited = [(out, err) for (out, err), _ in ended if "another run works on" in err]
    made = [(out, err) for (out, err), _ in ended if "another run works on" not in err]
    assert len(waited) == len(made) == 1, ended
    assert " cells\n" in made[0][0] and "is done" not in made[0][0]
    (folder,) = (path.parent for path in (shortest_checkout / "_build" / "runs").glob("quick/*/results.json"))
    assert waited[0][0] == f"quick/{folder.name} is done\n"
    assert json.loads((folder / "results.json").read_text())["parameters"]["seed"] == 0
    assert (folder / "chapter.ipynb").is_file() and not (folder / "chapter.partial.ipynb").exists()


WRITER = """
import sys
from pathlib import Path
from innercodes import claims
for i in range(60):
    claims.write_atomically(Path(sys.argv[1]), sys.argv[2] * 100_000)
"""


def test_two_writers_of_one_file(tmp_path):
    """Whoever reads meanwhile sees one text or the other, whole."""
    target = tmp_path / "results.json"
    writers = [python(WRITER, str(target), letter) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if target.is_file():
            seen.add(target.read_text())
        time.sleep(0.001)
    assert [writer.wait() for writer in writers] == [0, 0], [writer.communicate()[1] for writer in writers]
    assert seen and seen <= {letter * 100_000 for letter in "ab"}
    assert list(tmp_path.iterdir()) == [target]


def test_two_plain_runs_into_one_out_dir(shortest_checkout, tmp_path):
    """Without the engine nobody waits: the results are those of one of the two, whole, whenever one looks."""
    notebook = jupytext.read(shortest_checkout / "notebooks" / f"{CHAPTER}.py")
    nbformat.write(notebook, tmp_path / "short.ipynb")
    target = tmp_path / "out" / "results.json"
    values = yaml.safe_load((shortest_checkout / "presets" / "quick" / f"{CHAPTER}--default.yml").read_text())
    given = [word for name, value in values.items() for word in ("-p", name, str(value))]
    both = [
        subprocess.Popen(
            [str(Path(sys.executable).parent / "papermill"), "short.ipynb", f"{seed}.ipynb", "--no-progress-bar",
             "-p", "out_dir", "out", *given, "-p", "seed", str(seed)],
            cwd=tmp_path, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONPATH": str(shortest_checkout / "src")},
        )
        for seed in (0, 50)
    ]  # fmt: skip
    seen = set()
    while any(process.poll() is None for process in both):
        if target.is_file():
            seen.add(json.loads(target.read_text())["parameters"]["seed"])
        time.sleep(0.01)
    assert [process.wait() for process in both] == [0, 0], [process.communicate()[1][-3000:] for process in both]
    assert json.loads(target.read_text())["parameters"]["seed"] in (0, 50) and seen <= {0, 50}
    assert [path.name for path in target.parent.iterdir()] == ["results.json"]


PLANTED = {
    "memory": (
        "import resource, psutil\nlimit = psutil.Process().memory_info().vms + 2**28\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\nimport torch\ntorch.zeros(2**31)",
        "failed in cell [3]: RuntimeError: ",
    ),
    "kill": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "its kernel died, most likely out of memory"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_run_out_of_memory(fault, short_checkout, seeds, tmp_path):
    """A limit on the process, and the kill of a system that has none left; without the fault the same command goes on."""
    code, message = PLANTED[fault]
    source = short_checkout / "notebooks" / f"{CHAPTER}.py"
    text = source.read_text()
    marker = "# %%\nfrom innercodes import parameters\n"
    assert marker in text
    source.write_text(text.replace(marker, f"{marker}\n{code}\n"))
    words = ("row", "--row", "1", "--sweep", str(seeds(tmp_path / "one.csv", 1)))
    done = engine(short_checkout, *words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (line,) = errors(done)
    assert message in line
    assert not list((short_checkout / "_build").rglob("results.json"))


@pytest.mark.nightly
def test_a_full_disk(short_checkout, seeds, tmp_path):
    """A run on a disk of 4, 16 and 64 kB ends in one line; with room the same command goes on."""
    build = short_checkout / "_build"
    build.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(build)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting is refused: {done.stderr.decode().strip()}")
    words = ("sweep", "--sweep", str(seeds(tmp_path / "one.csv", 1)))
    try:
        for size in ("4k", "16k", "64k"):
            subprocess.run(["mount", "-o", f"remount,size={size}", str(build)], check=True)
            done = engine(short_checkout, *words)
            assert done.returncode != 0 and "Traceback" not in done.stderr, size
            assert any("No space left on device" in line for line in errors(done)), (size, done.stderr)
            for path in build.rglob("results.json"):
                json.loads(path.read_text())  # whole, if it is there
            assert not list(build.rglob("index.html"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(build)], check=True)
        done = engine(short_checkout, *words)
        assert done.returncode == 0, done.stderr
        assert list(build.rglob("index.html"))
    finally:
        subprocess.run(["umount", str(build)], check=True)


ABOUT_TESTS = {
    "test_every_path_parameter_has_a_reader",
    "test_every_chapter_on_folders_says_what_becomes_of_bad_files",
    "test_the_book_lists_every_fault",
}
"""Tests of this file that try no fault."""


def marks_of(path: Path) -> dict[str, bool]:
    """The tests of a file, and whether `make test` leaves all of their cases to the night, by their real marks."""
    spec = importlib.util.spec_from_file_location(f"asked_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    whole = getattr(module, "pytestmark", [])
    whole = whole if isinstance(whole, list) else [whole]
    found = {}
    for name, test in vars(module).items():
        if name.startswith("test_"):
            marks = [*whole, *getattr(test, "pytestmark", [])]
            cases = [list(mark.args[1]) for mark in marks if mark.name == "parametrize"]
            late = [all(any(m.name == "nightly" for m in getattr(case, "marks", ())) for case in one) for one in cases]
            found[name] = any(mark.name == "nightly" for mark in marks) or any(late)
    return found


def test_the_book_lists_every_fault():
    """Each fault of the table has a test of that name, each test of this file stands in the table, with the real marks and counts."""
    page = " ".join((ROOT / "book" / "faults.md").read_text().split("\n\n")[1:4]).replace("\n", " ")
    rows = re.findall(r"^\| (.*?) \|.*\| `(test_\w+)` \|$", (ROOT / "book" / "faults.md").read_text(), re.MULTILINE)
    named = [test for _, test in rows]
    assert len(named) == len(set(named))
    late: dict[str, bool] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)) & set(named):
            late |= marks_of(path)
    assert set(named) <= set(late) and set(marks_of(Path(__file__))) - ABOUT_TESTS <= set(named)
    seen = [fault.endswith("(nightly)") for fault, _ in rows]
    unseen = [re.search(r"\(not seen yet[^)]*\)$", fault) is not None for fault, _ in rows]
    marked = [a or b for a, b in zip(seen, unseen, strict=True)]
    assert [test for test, mark in zip(named, marked, strict=True) if mark is not late[test]] == []
    told = {
        r"The list has (\d+) faults\.": len(rows),
        r"`make test` tries (\d+) of the faults": len(rows) - sum(marked),
        r"The other (\d+) take long": sum(marked),
        r"(\d+) of these \d+ \(marked \*nightly\*\)": sum(seen),
        r"\d+ of these (\d+) \(marked \*nightly\*\)": sum(marked),
        r"The other (\d+) \(marked \*not seen yet\*\)": sum(unseen),
    }
    assert {words: re.findall(words, page) for words in told} == {words: [str(count)] for words, count in told.items()}
