"""The engine: runs, their parameters, failures that name chapter and cell, records without paths, staging."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import runs
import stage
from tiny import ROOT, TINY

CHAPTER = "02_sparse_interactions"
KEY = runs.Key("imagenet", CHAPTER, "mnist3")


def test_command_line_values_get_their_declared_types(tmp_path):
    given = runs.parse('n_seeds=2 learning_rate=1e-4 show_examples=False "data_root=a folder" epochs=many sede=1')
    values = runs.values(KEY, given)
    assert values["n_seeds"] == 2 and values["learning_rate"] == 1e-4 and values["show_examples"] is False
    assert values["data_root"] == str(Path("a folder").absolute())
    assert values["epochs"] == "many" and values["sede"] == "1"  # refused in the notebook, by name
    assert values["preset"] == "imagenet" and values["run"] == "mnist3" and values["dataset"] == "mnist3"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (runs.Key("quick", "99_nothing", "default"), "CHAPTER = '99_nothing': must be one of 01_"),
        (runs.Key("huge", CHAPTER, "default"), "PRESET = 'huge': must be one of quick, imagenet, paper"),
        (runs.Key("imagenet", CHAPTER, "nothing"), "RUN = 'nothing': must be one of adult, "),
        (runs.Key("imagenet", CHAPTER, "../x"), "RUN = '../x': must be one of"),
    ],
)
def test_runs_that_do_not_exist_are_refused(key, message):
    with pytest.raises(runs.UsageError) as caught:
        runs.values(key, {})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["seed", 'a="b'])
def test_malformed_params_are_refused(text):
    with pytest.raises(runs.UsageError, match=r"^PARAMS"):
        runs.parse(text)


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*/*.yml")), ids=lambda p: p.stem)
def test_preset_files_hold_only_allowed_values(preset):
    chapter, run = preset.stem.split("--")
    values = runs.values(runs.Key(preset.parent.name, chapter, run), {})
    declared = {p.name: p for p in runs.parameters.CHAPTERS[chapter]}
    for name, value in values.items():
        declared[name].check(value)


def test_a_run_is_keyed_on_all_that_makes_it():
    base = runs.fingerprint(KEY, {"seed": 0})
    assert set(base) == {"source_hash", "lock_hash", "claims_hash", "checkpoints", "values", "paths"}
    assert runs.fingerprint(KEY, {"seed": 1}) != base


def test_new_weights_under_an_old_name_are_another_run(tmp_path):
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"one")
    before = runs.fingerprint(KEY, {"weights": str(weights)})
    assert before["paths"]["weights"].startswith("w.pth (sha256 ")
    weights.write_bytes(b"two")
    assert runs.fingerprint(KEY, {"weights": str(weights)}) != before


def test_a_run_is_keyed_on_the_networks_that_come_with_the_book(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "CHECKPOINTS", tmp_path)
    (tmp_path / "model").mkdir()
    network = tmp_path / "model" / "a.safetensors"
    found = []
    for content in ("123", "124", "123"):
        network.write_text(content)
        found.append(runs.fingerprint(KEY, {})["checkpoints"])
    assert found[0] == found[2] != found[1]
    network.rename(tmp_path / "model" / "b.safetensors")
    assert runs.fingerprint(KEY, {})["checkpoints"] not in found


def test_what_an_earlier_run_left_is_kept_only_for_the_same_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    folder = tmp_path / KEY.folder
    folder.mkdir(parents=True)
    for content, kept in (('{"a": 1}', True), ('{"a": 2}', False), ("", False)):
        (folder / "results.json").write_text("{}")
        (folder / "fingerprint.json").write_text(content)
        runs.drop_unless(KEY, {"a": 1})
        assert (folder / "results.json").exists() is kept


def test_a_finished_run_is_put_back_when_snakemake_took_it_away(tmp_path, monkeypatch):
    """Only a whole one, and only for the fingerprint it was made with."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    folder = tmp_path / KEY.folder

    def taken_away():
        for name in runs.LEFT:
            (folder / name).unlink(missing_ok=True)

    runs.begin(KEY, {"a": 1})
    (folder / "results.json").write_text("{}")
    assert not runs.restored(KEY, {"a": 1})
    (folder / "partial").write_text("{}")
    runs.finish(KEY, folder / "partial")
    assert runs.restored(KEY, {"a": 1}) and not (folder / "partial").exists()
    taken_away()
    assert not runs.restored(KEY, {"a": 2}) and not (folder / "results.json").exists()
    assert runs.restored(KEY, {"a": 1}) and (folder / "results.json").read_text() == "{}"
    taken_away()
    runs.begin(KEY, {"a": 1})
    assert not runs.restored(KEY, {"a": 1})


@pytest.mark.parametrize("word", ["out_dir=x", "run=x", "preset=paper"])
def test_what_the_command_sets_itself_is_not_taken_from_params(word):
    with pytest.raises(runs.UsageError, match="is set by the command"):
        runs.values(KEY, runs.parse(word))


def engine(folder: Path, *words: str, **changed):
    """The engine of a copied checkout, with the package imported from there too."""
    return subprocess.run(
        [sys.executable, "workflow/engine.py", *words], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(folder / "src")} | changed, timeout=1200,
    )  # fmt: skip


def test_a_chapter_that_raises_is_named_with_its_cell_and_its_notebook_is_kept(checkout):
    source = checkout / "notebooks" / f"{CHAPTER}.py"
    text = source.read_text()
    marker = "# %%\nfrom innercodes import parameters\n"
    assert marker in text
    source.write_text(text.replace(marker, marker + '\nraise RuntimeError("planted")\n'))
    done = engine(checkout, "chapter", "--chapter", CHAPTER)
    assert done.returncode != 0
    assert f"error: {CHAPTER} (quick, default) failed in cell [3]: RuntimeError: planted" in done.stderr
    folder = checkout / "_build" / "runs" / "quick" / f"{CHAPTER}--default"
    assert (folder / "chapter.partial.ipynb").is_file()
    assert not (folder / "results.json").exists() and not (folder / "chapter.ipynb").exists()


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("claims/interactions.yml", "paper: [", "error: interactions.yml: not readable as YAML"),
        (
            f"presets/quick/{CHAPTER}--default.yml",
            "- a list",
            f"error: presets/quick/{CHAPTER}--default.yml: must hold",
        ),
        (f"notebooks/{CHAPTER}.py", "# %%\nif", f"error: notebooks/{CHAPTER}.py: invalid syntax"),
    ],
)
def test_a_broken_source_is_named_before_anything_runs(checkout, path, text, message):
    (checkout / path).write_text(text)
    done = engine(checkout, "book")
    assert done.returncode == 2 and done.stderr.strip().splitlines()[-1].startswith(message)


@pytest.mark.nightly
def test_a_site_that_fails_is_not_taken_for_done(small_checkout):
    checkout = small_checkout
    assert engine(checkout, "book").returncode == 0
    page = checkout / "book" / "teach.md"
    text = page.read_text()
    page.write_text(text + "\n[a link](nowhere.md)\n")
    for _ in range(2):
        done = engine(checkout, "book")
        assert done.returncode != 0 and "nowhere" in done.stderr
        assert (checkout / "_build" / "html" / "index.html").is_file()
    page.write_text(text)
    shutil.rmtree(checkout / "_build" / "html")
    assert engine(checkout, "book").returncode == 0
    assert (checkout / "_build" / "html" / "index.html").is_file()


def test_a_bad_parameter_ends_the_command_with_one_clear_line(checkout):
    done = engine(checkout, "chapter", "--chapter", CHAPTER, "--params", "n_seeds=0")
    assert done.returncode != 0
    assert "ParameterError: n_seeds = 0: must be a whole number from 1 to 100" in done.stderr
    done = engine(checkout, "chapter", "--chapter", "nothing")
    assert done.returncode == 2 and done.stderr.strip().startswith("error: CHAPTER = 'nothing'")


def test_a_record_needs_a_clean_tree(checkout):
    (checkout / "new.txt").write_text("not committed")
    done = engine(checkout, "record", "--chapter", CHAPTER)
    assert done.returncode == 2 and "error: the tree is not clean (new.txt)" in done.stderr
    assert not (checkout / "_build" / "runs").exists()
    assert not subprocess.run(["git", "status", "--porcelain", "results"], cwd=checkout, capture_output=True).stdout


def test_a_record_holds_no_path_and_no_text_of_the_run(short_checkout, tmp_path):
    weights = tmp_path / "secret place" / "net.pth"
    weights.parent.mkdir()
    import torch

    from innercodes import models

    torch.save(models.load("mlp5", 5).state_dict(), weights)
    small = " ".join(f"{name}={value}" for name, value in {**TINY[CHAPTER], "n_seeds": 1}.items())
    tiny = f"'weights={weights}' {small}"
    done = engine(short_checkout, "record", "--chapter", CHAPTER, "--params", tiny)
    assert done.returncode == 0, done.stderr
    target = short_checkout / "results" / "quick" / f"{CHAPTER}--default.json"
    record, notebook = target.read_text(), target.with_suffix(".ipynb").read_text()
    for text in (record, notebook):
        assert "secret place" not in text and str(tmp_path) not in text
    content = json.loads(record)
    assert content["parameters"]["weights"].startswith("net.pth (sha256 ") and not content["provenance"]["dirty"]
    cells = nbformat.reads(notebook, as_version=4).cells
    assert cells and all(not cell.source and "figure" in cell.outputs[0].metadata.innercodes for cell in cells)


def result(**changed):
    values = {p.name: p.default for p in runs.parameters.CHAPTERS[CHAPTER]}
    made = {
        "commit": "a" * 40, "dirty": False, "source_hash": stage.provenance.source_hash(CHAPTER), "lock_hash": "", "seconds": 60,
        "claims_hash": stage.provenance.claims_hash(CHAPTER),
        "started": "2026-01-01", "hardware": "a machine", "packages": {},
    }  # fmt: skip
    return {
        "chapter": CHAPTER, "preset": "imagenet", "run": "mnist3", "parameters": values, "provenance": made,
        "claims": [{"id": "INT-1", "verdict": "partly"}], "metrics": {},
    } | changed  # fmt: skip


def test_an_old_record_is_called_old():
    assert not stage.describe(result(), "results/imagenet/x")["stale"]
    for name in ("source_hash", "claims_hash"):
        old = result()
        old["provenance"][name] = "0" * 16
        described = stage.describe(old, "results/imagenet/x")
        assert described["stale"] and "made with other code" in stage.header(CHAPTER, [described])


def test_outputs_are_finished_for_the_page():
    run = stage.describe(result(), "p")
    bar = nbformat.v4.new_output("stream", name="stderr", text="training:  10%|#   | 1/10 [00:01<00:09]\r")
    assert stage.finish(bar, run, "") is None
    words = "/a/python3.11/x.py:3: UserWarning: odd\ntraining:  10%|#   | 1/10 [00:01<00:09]\r"
    text = nbformat.v4.new_output("stream", name="stderr", text=words)
    assert stage.finish(text, run, "").text == "x.py:3: UserWarning: odd"
    claim = nbformat.v4.new_output("display_data", {"text/html": "<div class='ic-claim' data-claim='INT-1'>x</div>"})
    assert "partly" in stage.finish(claim, run, "")["data"]["text/html"]
    assert stage.anchors(claim) == ["INT-1"]


def test_recorded_runs_stand_below_their_chapters_in_the_contents():
    run = stage.describe(result(), "results/imagenet/02--mnist3")
    toc = stage.contents([run])
    entry = next(e for part in toc["parts"] for e in part["chapters"] if e["file"] == f"notebooks/{CHAPTER}")
    assert entry["sections"] == [{"file": "results/imagenet/02--mnist3"}]
