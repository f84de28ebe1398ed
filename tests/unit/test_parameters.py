"""The check of a chapter's parameters: both ways, one line, hundreds of bad values."""

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from innercodes import parameters
from innercodes.parameters import CHAPTERS, ParameterError, check

CHAPTER = "02_sparse_interactions"
DECLARED = {p.name: p for p in CHAPTERS[CHAPTER]}
DEFAULTS = {name: p.default for name, p in DECLARED.items()}


@pytest.fixture(autouse=True)
def keep_threads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the check makes out_dir
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def refused(**changed) -> str:
    with pytest.raises(ParameterError) as caught:
        check(CHAPTER, DEFAULTS | changed)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400
    assert all(message.startswith(name) for name in changed)
    return message


def test_defaults_pass_and_give_seeds_and_device():
    run = check(CHAPTER, DEFAULTS | {"seed": 5, "device": "cpu"})
    assert run.seeds == (5, 6, 7) and run.device == torch.device("cpu") and run.bars and run.dataset == "tictactoe"
    assert torch.get_num_threads() == 1


def test_every_declared_default_is_allowed():
    for name, chapter in CHAPTERS.items():
        for parameter in chapter:
            parameter.check(parameter.default)
            assert parameter.meaning.endswith(".") and f"<code>{parameter.name}</code>" in parameters.table(name)


def test_one_name_means_one_thing_in_all_chapters():
    common = {p.name: p for p in parameters.COMMON}
    for chapter in CHAPTERS.values():
        assert [p.name for p in chapter[: len(common)]] == list(common)
        assert len({p.name for p in chapter}) == len(chapter)


numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**400), 10**400),
    st.booleans(),
    st.none(),
    st.text(),
)
anything = st.one_of(numbers, st.lists(st.integers()), st.dictionaries(st.text(), st.integers()), st.binary())


def is_good(p: parameters.Parameter, value) -> bool:
    """What is allowed, stated a second time and case by case."""
    if p.kind is bool:
        return value is True or value is False
    if p.kind is int:
        return type(value) is int and p.low <= value <= p.high
    if p.kind is float:
        return (
            type(value) in (int, float)
            and not (isinstance(value, float) and math.isnan(value))
            and p.low <= value <= p.high
        )
    if type(value) is not str:
        return False
    if p.choices:
        return value in p.choices
    if p.path:
        return value == ""
    if p.name == "device":
        return value in ("auto", "cpu", "cuda") or (value[:5] == "cuda:" and value[5:].isdecimal() and value.isascii())
    if p.name == "run":
        letters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
        return bool(value) and value[0] in letters and set(value) <= letters | {".", "-"} and "--" not in value
    small = set("abcdefghijklmnopqrstuvwxyz0123456789")
    if p.name == "model":
        library, slash, name = value.partition("/")
        if not slash:
            return bool(value) and set(value) <= small
        known = small | set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return (
            library in ("timm", "transformers")
            and name[:1] in known
            and name != ""
            and set(name) <= known | set("_./-")
        )
    if p.name == "panel":
        words = [word.split("/") for word in value.split(" ")]
        return value == "none" or all(
            len(word) == 2 and word[0] and word[1] and set(word[0]) <= small | {"_"} and set(word[1]) <= small
            for word in words
        )
    return value.strip() != "" and value.isprintable()


@settings(max_examples=600)
@given(st.sampled_from(list(DECLARED.values())), anything)
def test_bad_values_are_refused_and_good_ones_taken(parameter, value):
    if isinstance(value, str) and parameter.path and value:
        return  # may by chance name a folder; tested below
    if is_good(parameter, value):
        parameter.check(value)
    else:
        with pytest.raises(ParameterError) as caught:
            parameter.check(value)
        message = str(caught.value)
        assert message.startswith(f"{parameter.name} = ") and parameter.allowed in message
        assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize("name", [p.name for p in DECLARED.values() if p.path])
@pytest.mark.parametrize("bad", ["no/such/place", "~nobody-here/x", "a\0b", "x" * 5000])
def test_paths_that_do_not_exist_are_refused(name, bad):
    assert "exists" in refused(**{name: bad})


def test_data_are_a_folder_and_weights_a_file_or_a_folder(tmp_path):
    file = tmp_path / "a file with spaces, ü.pt"
    file.write_text("")
    refused(data_root=str(file))
    refused(weights=str(tmp_path / "nothing"))
    check(CHAPTER, DEFAULTS | {"data_root": str(tmp_path), "weights": str(file)})
    check(CHAPTER, DEFAULTS | {"weights": str(tmp_path)})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_without_a_card_is_refused():
    assert "a device of this machine: auto, cpu" in refused(device="cuda")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x", "meta", "mps", "hpu"])
def test_unknown_devices_are_refused(device):
    refused(device=device)


@pytest.mark.parametrize("run", ["a--b", ".hidden", "-a", "a/b", "a b", "ü", "a\n", ""])
def test_names_that_would_break_file_names_are_refused(run):
    refused(run=run)


def test_too_many_players_say_how_much_memory_they_need():
    assert "GiB of memory" in refused(n_players=40)


def test_both_ways():
    missing = {name: value for name, value in DEFAULTS.items() if name != "seed"}
    with pytest.raises(ParameterError, match="seed: missing"):
        check(CHAPTER, missing)
    with pytest.raises(ParameterError, match="sede: .* has no such parameter"):
        check(CHAPTER, DEFAULTS | {"sede": 3})


CELL = "\n".join(f"{name} = {value!r}" for name, value in DEFAULTS.items())


def test_in_a_notebook_names_of_other_cells_do_not_matter():
    check(CHAPTER, DEFAULTS | {"In": ["", CELL, "x = 1\nimport os"], "x": 1, "settings": object()})


def test_in_a_notebook_an_injected_name_must_be_known():
    with pytest.raises(ParameterError, match="sede: "):
        check(CHAPTER, DEFAULTS | {"In": [CELL, "# Parameters\nsede = 3\n"], "sede": 3})


def test_a_corrected_cell_can_be_run_again():
    typo = CELL + "\nsede = 1"
    with pytest.raises(ParameterError, match="sede: "):
        check(CHAPTER, DEFAULTS | {"In": [typo], "sede": 1})
    check(CHAPTER, DEFAULTS | {"In": [typo, "check()", CELL], "sede": 1})
    # A reader changes the cell of a notebook that papermill wrote, and runs it again.
    check(
        CHAPTER,
        DEFAULTS
        | {"In": [CELL, "# Parameters\nseed = 3\n", "check()", CELL.replace("seed = 0", "seed = 9")], "seed": 9},
    )


def test_a_folder_that_can_not_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    assert "can be written" in refused(out_dir=str(tmp_path / "file" / "below"))
    check(CHAPTER, DEFAULTS | {"out_dir": str(tmp_path / "new" / "folder")})
    assert (tmp_path / "new" / "folder").is_dir() and not list((tmp_path / "new" / "folder").iterdir())


def test_a_run_can_be_copied():
    run = check(CHAPTER, DEFAULTS)
    assert copy.copy(run) == run and pickle.loads(pickle.dumps(run)).seed == 0


def test_a_lost_tag_is_noticed():
    """Without the tag papermill injects at the top, and the notebook's own cell overrides what was given."""
    with pytest.raises(ParameterError, match="lost the tag"):
        check(CHAPTER, DEFAULTS | {"In": ["# Parameters\nseed = 3\n", CELL]})
    check(CHAPTER, DEFAULTS | {"In": [CELL, "# Parameters\nseed = 3\n"], "seed": 3})


def test_an_injected_nan_is_refused_as_a_value():
    with pytest.raises(ParameterError, match="learning_rate = nan"):
        check(CHAPTER, DEFAULTS | {"In": ["# Parameters\nlearning_rate = float('nan')\n"], "learning_rate": math.nan})
