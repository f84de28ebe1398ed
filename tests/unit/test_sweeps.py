"""Sweeps: tables are checked whole before anything runs, and their numbers collected as they are. Records made again."""

import json

import pandas as pd
import pytest
import repro
import runs
import sweeps
from collect import baselines, numbers, page, tidy
from tiny import ROOT

from innercodes import claims, parameters, players

HEAD = "chapter,preset,run,seed,n_seeds\n"
CHAPTER = "02_sparse_interactions"
RECORDS = [f"imagenet/{CHAPTER}--{run}" for run in ("adult", "mnist3", "tinystories")]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(text, tmp_path, given=None, name="mine.csv"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(runs.UsageError) as caught:
        sweeps.read(str(file), given or {})
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(file), "FILE")


def test_a_row_is_a_run_with_the_types_that_the_chapter_declares(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(f"\ufeff{HEAD}# a remark,,,,\n{CHAPTER},,,3,\n\n{CHAPTER},imagenet,mnist3,,2\n", encoding="utf-8")
    found = sweeps.read(str(file), {"data_root": str(tmp_path)})
    first, second = found.rows
    assert (first.number, second.number) == (3, 5) and found.columns == ("seed", "n_seeds")
    assert first.values["seed"] == 3 and "n_seeds" not in first.values and first.values["data_root"] == str(tmp_path)
    assert str(second.base) == f"imagenet/{CHAPTER}--mnist3" and second.values["dataset"] == "mnist3"
    assert first.key.run.startswith("default.") and first.values["run"] == first.key.run
    # Rows may change their places and their neighbours.
    file.write_text(f"{HEAD}{CHAPTER},,,4,\n{CHAPTER},,,3,\n")
    assert sweeps.read(str(file), {"data_root": str(tmp_path)}).rows[1].key == first.key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEAD}{CHAPTER},,,0,\n{CHAPTER},,,0,0\n", "FILE, row 3: n_seeds = 0: must be a whole number from 1 to 100"),
        (f"{HEAD}{CHAPTER},,,many,\n", "FILE, row 2: seed = 'many': must be a whole number"),
        (f"{HEAD}{CHAPTER},,,-1,\n{CHAPTER},,,-2,\n", "FILE, row 2: seed = -1: must be a whole number"),
        (f"chapter,sede\n{CHAPTER},1\n", f"FILE, row 2: sede: {CHAPTER} has no such parameter; it takes preset"),
        (f"{HEAD}99_x,,,0,\n", "FILE, row 2: CHAPTER = '99_x': must be one of 01_"),
        (f"{HEAD}{CHAPTER},huge,,0,\n", "FILE, row 2: PRESET = 'huge': must be one of quick"),
        (f"{HEAD}{CHAPTER},,../x,0,\n", "FILE, row 2: RUN = '../x': must be one of"),
        (f"{HEAD}{CHAPTER},,,1,\n{CHAPTER},quick,default,1,\n", "FILE, row 3: the same run as row 2"),
        (f"{HEAD}{CHAPTER},,,1\n", "FILE, row 2: has 4 cells; the first row names 5 columns"),
        (f"chapter,seed,seed\n{CHAPTER},1,2\n", "FILE: the column 'seed' stands there twice"),
        (f"chapter,seed,\n{CHAPTER},1,2\n", "FILE: the column '' has no name"),
        (f"chapter,out_dir\n{CHAPTER},x\n", "FILE, row 2: PARAMS: out_dir is set by the command"),
        (f"chapter,weights\n{CHAPTER},no/such/file\n", "FILE, row 2: weights = "),
        (f"chapter,n_players\n{CHAPTER},40\n", "FILE, row 2: n_players = 40: must be smaller: this run would need"),
        ("", "FILE: must have a row of names"),
        (HEAD, "FILE: must have a row of names"),
        ("seed\n1\n", "FILE: must have a row of names, 'chapter' among them"),
        (f'{HEAD}{CHAPTER},,,"0\n', "FILE: not readable as CSV: "),
        (f"chapter,run\n{CHAPTER},é\n".encode("latin-1"), "FILE: not UTF-8 at byte "),
    ],
)  # fmt: skip
def test_a_table_that_is_not_allowed_is_refused_in_one_line(text, message, tmp_path):
    assert refused(text, tmp_path).startswith(message)


def test_all_faults_are_counted_and_a_column_beats_no_params(tmp_path):
    assert refused(f"{HEAD}{CHAPTER},,,-1,\n{CHAPTER},,,-2,\n", tmp_path).endswith("(and 1 more rows with a fault)")
    assert refused(f"{HEAD}{CHAPTER},,,1,\n", tmp_path, {"seed": "2"}) == "PARAMS: seed is a column of FILE"


@pytest.mark.parametrize("name", ["my sweep.csv", "it's.csv", "ü.csv", ".csv", "-x.csv", "mine.txt"])
def test_the_name_of_a_sweep_becomes_a_folder(name, tmp_path):
    assert refused(f"{HEAD}{CHAPTER},,,1,\n", tmp_path, name=name).startswith("SWEEP = ")


def test_of_another_machine_neither_cards_nor_memory_are_asked(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(f"chapter,device,n_players\n{CHAPTER},cuda:999,40\n")
    assert sweeps.read(str(file), {}, here=False).rows[0].values["device"] == "cuda:999"
    file.write_text(f"chapter,device,sede\n{CHAPTER},gpu,\n")
    with pytest.raises(runs.UsageError, match="row 2: device = 'gpu'"):
        sweeps.read(str(file), {}, here=False)


@pytest.mark.parametrize("file", sorted((ROOT / "sweeps").glob("*.csv")), ids=lambda path: path.stem)
def test_every_sweep_of_the_book_is_allowed(file, tmp_path):
    needs_data = "imagenet" in file.read_text()
    found = sweeps.read(str(file), {"data_root": str(tmp_path)} if needs_data else {})
    assert len(found.rows) >= 5 and len({row.key for row in found.rows}) == len(found.rows)
    for row in found.rows:
        if row.base.chapter == CHAPTER:  # data, network and players fit together
            declared = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
            game = players.build(parameters.check(CHAPTER, declared | row.values))
            assert game.n == row.values.get("n_players", 9)


def test_every_chapter_and_every_sweep_asked_for_is_there():
    text = {file.stem: file.read_text() for file in (ROOT / "sweeps").glob("*.csv")}
    assert all(chapter in text["seeds"] for chapter in runs.chapters())
    assert {
        "telescope_models", "spectra_dropout", "interactions_players", "symbols_regions", "symbols_attack",
    } <= set(text)  # fmt: skip
    sizes = [row.split(",")[3] for row in text["symbols_attack"].splitlines()[2:]]
    assert [255 * float(size) for size in sizes if size] == pytest.approx([0.5, 1, 2, 4])


def collected():
    """The recorded runs of chapter 02 as if a sweep had made them."""
    found = [json.loads((ROOT / "results" / f"{name}.json").read_text()) for name in RECORDS]
    rows = [
        {"number": i, "chapter": r["chapter"], "preset": r["preset"], "run": r["run"], "folder": ""}
        for i, r in enumerate(found, 2)
    ]
    return {"sweep": "mine", "columns": ["dataset", "n_players", "data_root", "learning_rate"], "rows": rows}, found


def test_the_table_holds_every_number_of_every_run(tmp_path):
    described, found = collected()
    tidy(described, found).to_parquet(tmp_path / "t.parquet")
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["n_players"].dtype == "Int64" and table["learning_rate"].dtype == "Float64"
    for row, result in zip(described["rows"], found, strict=True):
        own = table[table["row"] == row["number"]]
        assert set(own["dataset"]) == {result["parameters"]["dataset"]}
        judged = own[own["kind"] == "claim"].set_index("name")
        for claim in result["claims"]:
            kept = judged.loc[claim["id"]]
            assert kept["verdict"] == claim["verdict"] and json.loads(kept["baseline"]) == claim["baseline"]
            assert kept["value"] == claim["value"] if claim["value"] is not None else pd.isna(kept["value"])
            assert not claim["ci"] or [kept["low"], kept["high"]] == claim["ci"]
        measured = own[own["kind"] == "metric"].set_index("name")["value"]
        assert measured["rounding_share"] == result["metrics"]["rounding_share"]
        for i, value in enumerate(result["metrics"].get("accuracy", {}).get("trained", ())):
            assert measured[f"accuracy.trained[{i}]"] == value
        assert len(measured) == len(list(numbers(result["metrics"])))


def test_the_page_shows_each_run_with_verdicts_and_baselines_and_asks_no_other_server():
    described, found = collected()
    markup = page(described, found)
    for result in found:
        assert f"dataset = {result['parameters']['dataset']}" in markup
        for claim in result["claims"]:
            assert claim["value"] is None or claims.value_text(claim["value"], claim["ci"]) in markup
    assert "not reproduced" in markup and 'role="img"' in markup and markup.count("<figure>") == 1
    assert not any(word in markup for word in ("src=", "<script", "@import", "<link"))
    assert baselines({"a": 1, "b": 2.5}) == [1, 2.5] and baselines("chance") == baselines(None) == []


def test_parameters_do_not_hide_columns_of_the_table():
    described, found = collected()
    described["columns"] = []
    fixed = set(tidy(described, found).columns) - set(sweeps.WHICH)
    assert not fixed & {p.name for declared in parameters.CHAPTERS.values() for p in declared}


def test_needs_of_a_cluster_are_read_from_the_general_to_the_special(tmp_path):
    found = runs.needs(ROOT / "workflow" / "profiles" / "slurm" / "needs.yaml")
    assert runs.need(found, "quick", CHAPTER)["gpu"] == 0 and runs.need(found, "paper", CHAPTER)["gpu"] == 1
    assert runs.need(found, "paper", "01_symbols")["mem_mb"] > runs.need(found, "paper", CHAPTER)["mem_mb"]
    assert runs.needs(tmp_path / "none.yaml") == {}
    for text, message in (
        ("quick: {gpu: 1}", "must have entries"),
        ("default: {gpu: 1}\nquick: {gpus: 1}", "quick.gpus: must be"),
    ):
        (tmp_path / "needs.yaml").write_text(text)
        with pytest.raises(runs.UsageError, match=message):
            runs.needs(tmp_path / "needs.yaml")


KEY = runs.Key("imagenet", CHAPTER, "adult")


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A record of the book as if it had been made on the folder `data` here."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "chapters", lambda: [CHAPTER])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("1")
    content = json.loads((ROOT / "results" / f"{KEY}.json").read_text())
    content["parameters"]["data_root"] = runs.content_of(str(tmp_path / "data"))
    target = tmp_path / "results" / f"{KEY}.json"
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(content))
    return content


def test_a_record_gives_its_parameters_back(record, tmp_path):
    content, values = repro.prepared(KEY, {"data_root": "data"})
    assert content == record and values == record["parameters"] | {"data_root": str(tmp_path / "data"), "out_dir": "."}


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        (KEY, {}, "PARAMS: data_root is missing: the record was made with data (1 files, sha256 "),
        (KEY, {"data_root": "results"}, "PARAMS: data_root = 'results' is results ("),
        (KEY, {"data_root": "data", "seed": "1"}, "PARAMS: seed is not free; the record asks for data_root"),
        (runs.Key("imagenet", CHAPTER, "none"), {}, f"imagenet/{CHAPTER}--none: must be a recorded run: imagenet/{CHAPTER}--adult"),
        (runs.Key("imagenet", CHAPTER, "../../x"), {}, f"imagenet/{CHAPTER}--../../x: must be a recorded run"),
    ],
)  # fmt: skip
def test_another_run_than_the_recorded_one_is_refused(record, key, given, message):
    with pytest.raises(runs.UsageError) as caught:
        repro.prepared(key, given)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_torn_record_is_refused(record, tmp_path):
    target = tmp_path / "results" / f"{KEY}.json"
    target.write_text(target.read_text()[:500])
    with pytest.raises(runs.UsageError, match="not a record: "):
        repro.prepared(KEY, {"data_root": "data"})


def test_the_differing_value_is_named_and_no_other(record, capsys):
    again = json.loads(json.dumps(record))
    assert repro.report(KEY, record, again) == 0 and "to the last bit" in capsys.readouterr().out
    again["metrics"]["accuracy"]["trained"][1] *= 1 + 2**-52
    again["claims"][1]["verdict"] = "partly"
    again["provenance"]["source_hash"] = "another"
    assert repro.report(KEY, record, again) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line for line in lines if line.startswith("differs: metrics.accuracy.trained[1]: ")]
    assert [line for line in lines if line.startswith(f"differs: claims.{record['claims'][1]['id']}.verdict: ")]
    assert sum(line.startswith("differs: ") for line in lines) == 2
    assert any(line.startswith("note: source_hash is another one") for line in lines)
    assert any("git checkout" in line for line in lines)


def test_missing_and_new_values_and_kinds_count_as_differences():
    before = {"a": 1, "b": [1.0, 2.0], "c": True, "d": {}}
    assert list(repro.differences(before, dict(before))) == []
    found = {where for where, _, _ in repro.differences(before, {"a": 1, "b": [1.0], "c": 1, "e": None})}
    assert found == {"b[1]", "c", "d", "e"}


def test_the_claim_about_seconds_is_left_out():
    results = {"claims": [{"id": repro.TIMED, "value": 1.0}, {"id": "SYM-1", "value": 1.0}], "metrics": {}}
    assert list(repro.untimed(results)["claims"]) == ["SYM-1"]
