"""Faults that really happen to a run: each ends in one clear line and loses nothing. book/faults.md lists them all."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import runs
import sweeps
from PIL import Image
from safetensors.torch import save_file
from tiny import ROOT

from innercodes import data, models, parameters, pictures, text
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


@pytest.mark.parametrize(
    ("kept", "named"), [(0, r".*5 ü\.png"), (50, "image file is truncated")], ids=["no picture", "truncated"]
)
def test_a_picture_that_does_not_decode_among_good_ones(tmp_path, kept, named):
    for i in range(6):
        file = tmp_path / "set" / "train" / "ab"[i % 2] / f"{i} ü.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:kept])
    found = pictures.load("set", str(tmp_path), 10, 10, 0)
    with pytest.raises(ParameterError, match=f"^data_root: set/train: a picture cannot be read: {named}") as caught:
        for part in found:
            part.tensors()
    assert "\n" not in str(caught.value)


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


def test_a_notebook_without_its_parameters_cell():
    """papermill then injects at the top, and everything else is missing."""
    namespace = {"In": ["", "# Parameters\nseed = 4\n", "from innercodes import parameters"], "seed": 4}
    with pytest.raises(ParameterError, match=r"^preset: missing from the notebook's parameters cell$"):
        parameters.check(CHAPTER, namespace)


ODD = ["with spaces", "it's", 'a "word"', "ü ж 漢", "$HOME `x` ;&|", "{wildcards}", "%s \\n"]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["data_root", "weights", "out_dir"])
def test_odd_names_in_path_parameters(name, odd, tmp_path):
    """Each is taken as it is; one that is missing is named in one line. `..` leads where it says."""
    folder = tmp_path / odd
    folder.mkdir()
    path = str(folder / ".." / odd)
    out = {} if name == "out_dir" else {"out_dir": str(tmp_path / "out")}
    assert parameters.check(CHAPTER, DEFAULTS | out | {name: path}).values[name] == path
    if name == "out_dir":
        return
    with pytest.raises(ParameterError, match=f"^{name} = .*: must be a f") as caught:
        parameters.check(CHAPTER, DEFAULTS | out | {name: path + "?"})
    assert "\n" not in str(caught.value)
    given = runs.parse(f"{name}={runs.shlex.quote(path)}")
    values = runs.values(runs.Key("quick", CHAPTER, "default"), given)
    assert values[name] == path
    assert runs.fingerprint(runs.Key("quick", CHAPTER, "default"), values)["paths"][name].startswith(f"{odd} (0 files")


def test_two_runs_at_once_in_one_folder(checkout, seeds, tmp_path):
    """The second one waits, and finds what the first one left."""
    file = seeds(tmp_path / "one.csv", 1)
    (row,) = sweeps.read(str(file), {}).rows
    folder = checkout / row.key.folder
    folder.mkdir(parents=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, "workflow/engine.py", "row", "--sweep", str(file), "--row", "1"], cwd=checkout, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(checkout / "src")},
        )  # fmt: skip
        assert "another run works on" in second.stderr.readline()
        time.sleep(0.5)
        assert second.poll() is None
        (folder / "fingerprint.json").write_text(json.dumps(runs.fingerprint(row.key, row.values)))
        for name in ("results.json", "chapter.ipynb"):
            (folder / name).write_text("{}")
    assert second.communicate(timeout=1200)[0] == f"{row.key} is done\n" and second.returncode == 0


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


def test_the_book_lists_every_fault():
    """Each fault of the table has a test of that name, and each test of this file stands in the table."""
    table = (ROOT / "book" / "faults.md").read_text()
    named = re.findall(r"\| `(test_\w+)` \|$", table, re.MULTILINE)
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    own = set(re.findall(r"^def (test_\w+)", Path(__file__).read_text(), re.MULTILINE)) - {
        "test_the_book_lists_every_fault"
    }
    assert len(named) == len(set(named)) and set(named) <= there and own <= set(named)
    assert f"{len(named)} faults" in table
