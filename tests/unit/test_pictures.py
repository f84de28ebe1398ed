"""Folders of pictures against what was put into them; digits against the room they come from."""

import json
import re
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from innercodes import data, models, pictures
from innercodes.parameters import ParameterError


def grey(number):
    """A grey level of its own for each picture, so that a picture says which it is."""
    return (7 * number) % 256


def folder_of(root, name="set", **splits):
    """Pictures root/name/split/class/*.png with as many as `splits` says: {class: count}; returns the level of each file."""
    levels, number = {}, 0
    for split, classes in splits.items():
        for label, count in classes.items():
            (root / name / split / label).mkdir(parents=True)
            for i in range(count):
                file = root / name / split / label / f"{i:02d}.png"
                Image.new("RGB", (12, 8), (grey(number),) * 3).save(file)
                levels[split, label, i] = grey(number) / 255
                number += 1
    return levels


def load(root, fitted=100, unseen=100, seed=0, prepared=None, name="set", unreadable="refuse"):
    return pictures.load(name, str(root), fitted, unseen, seed, prepared, unreadable)


def levels_of(found):
    return [round(float(x.mean()) * 255) for x in found.tensors()[0]]


@pytest.mark.parametrize(
    ("splits", "used"),
    [
        (("train", "val"), ("train", "val")),
        (("train", "test"), ("train", "test")),
        (("val", "test"), ("val", "test")),
        (("train", "val", "test"), ("train", "val")),
    ],
)
def test_both_splits_hold_their_own_files_in_the_order_of_the_folders(tmp_path, splits, used):
    made = folder_of(tmp_path, **{split: {"pear": 3, "apple": 2, "fig": 4} for split in splits})
    for split, found in zip(used, load(tmp_path), strict=True):
        assert found.classes == found.names == ("apple", "fig", "pear") and not found.embedded
        assert found.labels.tolist() == [0] * 2 + [1] * 4 + [2] * 3 and len(found) == 9
        inputs, labels = found.tensors()
        assert inputs.dtype == torch.float32 and inputs.shape == (9, 3, 8, 12) and torch.equal(labels, found.labels)
        expected = [made[split, name, i] for name in found.classes for i in range(9) if (split, name, i) in made]
        assert inputs.mean((1, 2, 3)).tolist() == pytest.approx(expected, abs=1e-6)


def test_other_files_are_passed_over_and_endings_may_be_capital(tmp_path):
    folder_of(tmp_path, train={"a": 2, "b": 1}, val={"a": 1, "b": 1})
    (tmp_path / "set/train/a/notes.txt").write_text("no picture")
    (tmp_path / "set/train/readme.md").write_text("no folder")
    (tmp_path / "set/train/b/deeper").mkdir()
    Image.new("RGB", (12, 8)).save(tmp_path / "set/train/b/deeper/x.png")
    Image.new("L", (12, 8), 99).save(tmp_path / "set/train/b/Y.JPG", "JPEG")  # grey becomes three equal channels
    fitted, _ = load(tmp_path)
    assert fitted.labels.tolist() == [0, 0, 1, 1]
    last, label = fitted[3]
    assert label == 1 and last.shape == (3, 8, 12)
    assert last.flatten().tolist() == pytest.approx([99 / 255] * 288, abs=0.01)


def test_pictures_are_drawn_evenly_and_by_the_seed(tmp_path):
    folder_of(tmp_path, train={"a": 12, "b": 2, "c": 12}, val={"a": 5, "b": 5, "c": 5})
    fitted, unseen = load(tmp_path, 10, 6)
    assert Counter(fitted.labels.tolist()) == {0: 4, 1: 2, 2: 4} and Counter(unseen.labels.tolist()) == {
        0: 2,
        1: 2,
        2: 2,
    }
    assert fitted.rows.tolist() == sorted(set(fitted.rows.tolist()))
    again, other = load(tmp_path, 10, 6)[0], load(tmp_path, 10, 6, seed=1)[0]
    assert levels_of(fitted) == levels_of(again) and levels_of(fitted) != levels_of(other)
    everything, _ = load(tmp_path, 26, 6)
    assert len(everything) == len(load(tmp_path, 1000, 6)[0]) == 26


def test_some_places_are_spread_over_the_classes_in_order(tmp_path):
    own, _ = pictures.load("digits", "", 200, 20, 0)
    rows = own.spread(30)
    assert rows.tolist() == sorted(set(rows.tolist())) and own.labels[rows].bincount().tolist() == [3] * 10
    assert own.spread(10_000).tolist() == list(range(200))


def test_a_single_split_is_parted_into_two_that_share_nothing(tmp_path):
    folder_of(tmp_path, val={"a": 10, "b": 9, "c": 8})
    first, second = load(tmp_path)
    assert (len(first), len(second)) == (18, 9)
    found = levels_of(first), levels_of(second)
    assert not set(found[0]) & set(found[1]) and sorted(found[0] + found[1]) == sorted(map(grey, range(27)))
    for part in (first, second):  # a label stays with its picture
        number = {grey(i): 0 if i < 10 else 1 if i < 19 else 2 for i in range(27)}
        assert [number[level] for level in levels_of(part)] == part.labels.tolist()
    assert [levels_of(part) for part in load(tmp_path)] == list(found)
    assert set(levels_of(load(tmp_path, seed=1)[1])) != set(found[1])


def test_prepared_pictures_have_the_size_and_lie_in_the_range_that_networks_take(tmp_path):
    (tmp_path / "set/val/a").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for i in range(6):
        Image.fromarray(noise).save(tmp_path / f"set/val/a/{i}.png")
    # Mean and deviation belong to the network, not to the pictures.
    prepared = models.Preparation(20, 0.5, "bicubic", (0.5,) * 3, (0.1,) * 3)
    fitted, _ = load(tmp_path, prepared=prepared)
    inputs = fitted.tensors()[0]
    assert inputs.shape == (4, 3, 20, 20) and 0 <= float(inputs.min()) < 0.3 and 0.7 < float(inputs.max()) <= 1
    # crop_pct = 0.5: the shorter side becomes 40, as it is, and the middle 20 x 20 is cut out.
    middle = torch.from_numpy(noise[10:30, 20:40]).permute(2, 0, 1) / 255
    torch.testing.assert_close(inputs[0], middle)
    assert load(tmp_path)[0][0][0].shape == (3, 40, 60)


@pytest.mark.parametrize("root", ["", "here"])
def test_a_folder_that_is_missing_is_named(tmp_path, root, monkeypatch):
    folder_of(tmp_path, val={"a": 3})
    monkeypatch.chdir(tmp_path)  # an empty root is not this folder
    root = str(tmp_path) if root else ""
    name = "other" if root else "set"
    with pytest.raises(ParameterError, match=f"^data_root = .*: must be the folder that holds {name}/train") as caught:
        pictures.load(name, root, 10, 10, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("inside", ["nothing", "files", "empty classes"])
def test_a_split_without_pictures_is_named(tmp_path, inside):
    (tmp_path / "set/train").mkdir(parents=True)
    if inside == "files":
        Image.new("RGB", (4, 4)).save(tmp_path / "set/train/x.png")
    if inside == "empty classes":
        (tmp_path / "set/train/a").mkdir()
    with pytest.raises(ParameterError, match=r"^data_root: set/train holds no folders with pictures \(\.jpg"):
        load(tmp_path)


def test_splits_with_different_classes_are_refused(tmp_path):
    folder_of(tmp_path, train={"a": 2, "b": 2}, val={"a": 2, "c": 2})
    with pytest.raises(ParameterError, match="^data_root: set/train and set/val hold different classes$"):
        load(tmp_path)


def spoil(file, how):
    """Make a file one that cannot be read."""
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "text": b"no picture at all", "truncated": whole[: len(whole) // 2]}[how])


WHY = {"empty": "empty", "text": "not a picture", "truncated": r"[^(,;]+"}


@pytest.mark.parametrize("how", WHY)
def test_files_that_are_no_pictures_are_all_named_before_any_work(tmp_path, how):
    folder_of(tmp_path, train={"a": 2, "b": 2}, val={"a": 1, "b": 1}, test={"a": 1, "b": 1})
    spoil(tmp_path / "set/train/b/00.png", how)
    with pytest.raises(ParameterError) as caught:
        load(tmp_path, 1, 1)  # though few are asked for
    assert re.fullmatch(
        rf"data_root: set holds 1 file that cannot be read: set/train/b/00\.png \({WHY[how]}\); "
        "unreadable = 'skip' leaves them out",
        str(caught.value),
    )
    spoil(tmp_path / "set/val/a/00.png", "text")
    spoil(tmp_path / "set/test/a/00.png", "text")  # of a split that is not used
    with pytest.raises(ParameterError, match="holds 2 files that cannot .*train/b/00.*, set/val/a/00.png ") as caught:
        load(tmp_path)
    assert (
        "\n" not in str(caught.value) and "set/test" not in str(caught.value) and str(tmp_path) not in str(caught.value)
    )


def test_of_many_bad_files_the_first_are_named_and_all_are_counted(tmp_path):
    folder_of(tmp_path, val={"a": 15})
    for i in range(14):
        spoil(tmp_path / f"set/val/a/{i:02d}.png", "text")
    (tmp_path / "set/val/a/13.png").rename(tmp_path / "set/val/a/0\n.png")
    with pytest.raises(ParameterError, match=r"holds 14 files .*, and 4 more; unreadable") as caught:
        load(tmp_path)
    assert str(caught.value).count("not a picture") == 10 and "\n" not in str(caught.value)


@pytest.mark.parametrize("how", WHY)
def test_skipped_files_are_left_out_counted_and_named(tmp_path, how):
    levels = folder_of(tmp_path, train={"a": 4, "b": 4}, val={"a": 3, "b": 3})
    for name in ("train/b/01", "val/a/02"):
        spoil(tmp_path / f"set/{name}.png", how)
    with pytest.warns(
        UserWarning, match="^set: left out 2 files that cannot be read: set/train/b/01.png .*val/a/02"
    ) as told:
        fitted, unseen = load(tmp_path, unreadable="skip")
    assert len(told) == 1 and "\n" not in str(told[0].message)
    left = {place: level for place, level in levels.items() if place not in (("train", "b", 1), ("val", "a", 2))}
    for part, split in ((fitted, "train"), (unseen, "val")):
        assert sorted(levels_of(part)) == sorted(
            round(level * 255) for place, level in left.items() if place[0] == split
        )
        number = {round(level * 255): "ab".index(place[1]) for place, level in left.items()}
        assert [number[level] for level in levels_of(part)] == part.labels.tolist()
    names = ["set/train/b/01.png", "set/val/a/02.png"]
    assert pictures.left_out(fitted, unseen, fitted.subset(torch.tensor([0]))) == {"files": 2, "names": names}
    # The same as a set that never had them.
    for name in ("train/b/01", "val/a/02"):
        (tmp_path / f"set/{name}.png").unlink()
    for part, plain in zip((fitted, unseen), load(tmp_path), strict=True):
        assert torch.equal(part.tensors()[0], plain.tensors()[0]) and torch.equal(part.labels, plain.labels)
        assert pictures.left_out(plain) == {"files": 0, "names": []}


def test_a_split_of_bad_files_alone_is_refused_even_when_they_are_skipped(tmp_path):
    folder_of(tmp_path, train={"a": 2}, val={"a": 1})
    spoil(tmp_path / "set/val/a/00.png", "text")
    with (
        pytest.warns(UserWarning, match="left out 1 file"),
        pytest.raises(ParameterError, match="^data_root: set/val holds no picture that can be read$"),
    ):
        load(tmp_path, unreadable="skip")


def test_a_single_split_with_a_skipped_file_is_parted_as_one_without_it(tmp_path):
    folder_of(tmp_path, val={"a": 6, "b": 6})
    spoil(tmp_path / "set/val/a/03.png", "text")
    with pytest.warns(UserWarning, match="left out 1 file"):
        found = load(tmp_path, unreadable="skip")
    (tmp_path / "set/val/a/03.png").unlink()
    assert [levels_of(part) for part in found] == [levels_of(part) for part in load(tmp_path)]


def noise(size=(40, 30), seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "png", "bmp", "webp"])
def test_a_file_is_judged_as_its_decoder_judges_it(tmp_path, suffix):
    """Cut anywhere, or with bytes after its end: a fault is found without decoding just when decoding fails."""
    file = tmp_path / f"x.{suffix}"
    noise().save(file)
    whole, verdicts = file.read_bytes(), set()
    cuts = [0, 1, 10, *range(20, len(whole), len(whole) // 12), *(len(whole) - k for k in (14, 12, 3, 2, 1))]
    for content in (whole, whole + b"\0" * 7, *(whole[:cut] for cut in cuts)):
        file.write_bytes(content)
        try:
            with Image.open(file) as picture:
                picture.convert("RGB")
            decodes = True
        except (OSError, ValueError, SyntaxError, IndexError):
            decodes = False
        assert bool(pictures.fault(file)) is not decodes, len(content)
        verdicts.add(decodes)
    assert verdicts == {True, False}


def test_another_kind_of_picture_under_a_known_suffix_is_judged_too(tmp_path):
    noise().save(tmp_path / "x.gif")
    file = (tmp_path / "x.gif").rename(tmp_path / "x.jpg")
    assert not pictures.fault(file)
    file.write_bytes(file.read_bytes()[:900])
    assert pictures.fault(file)


def test_whole_pictures_are_not_decoded_before_they_are_asked_for(tmp_path, monkeypatch):
    folder_of(tmp_path, train={"a": 2}, val={"a": 2})
    for kind in ("jpg", "bmp", "webp"):
        noise().save(tmp_path / f"set/train/a/x.{kind}")
    decoded = []
    real = Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda self, *mode: decoded.append(self) or real(self, *mode))
    fitted, _ = load(tmp_path)
    assert not decoded
    fitted[0]
    assert len(decoded) == 1


@pytest.mark.parametrize("unreadable", ["refuse", "skip"])
def test_a_fault_that_only_decoding_shows_is_named_then(tmp_path, unreadable):
    folder_of(tmp_path, train={"a": 2, "b": 2}, val={"a": 1, "b": 1})
    file = tmp_path / "set/train/b/00.png"
    noise().save(file)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(bytes(content))
    fitted, _ = load(tmp_path, unreadable=unreadable)
    assert fitted[0][0].shape == (3, 8, 12)
    with pytest.raises(ParameterError, match=r"^data_root: set/train/b/00\.png cannot be read: ") as caught:
        fitted[2]
    assert "\n" not in str(caught.value)


def test_a_file_that_disappears_is_named(tmp_path):
    folder_of(tmp_path, val={"a": 3})
    fitted, _ = load(tmp_path)
    for file in (tmp_path / "set/val/a").iterdir():
        file.unlink()
    with pytest.raises(
        ParameterError, match=r"^data_root: set/val/a/0\d\.png cannot be read: No such file or directory$"
    ):
        fitted[0]


def test_a_file_that_claims_to_be_huge_is_named_and_not_read(tmp_path, monkeypatch):
    folder_of(tmp_path, val={"a": 6})
    found = load(tmp_path)[0]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(
        ParameterError, match=r"^data_root: set holds 6 files that cannot be read: set/val/a/00\.png \(Image size"
    ):
        load(tmp_path)
    with pytest.raises(ParameterError, match=r"^data_root: set/val/a/0\d\.png cannot be read: Image size"):
        found.tensors()


def test_names_come_from_classes_json_where_there_is_one(tmp_path):
    folder_of(tmp_path, val={"n1": 3, "n2": 3})
    (tmp_path / "set/classes.json").write_text(json.dumps({"n2": {"index": 5, "name": "a red fox"}, "other": {}}))
    for part in load(tmp_path):
        assert part.classes == ("n1", "n2") and part.names == ("n1", "a red fox")


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"n1": 3}', '{"n1": "fox"}', '{"n1": null}', b"\xff\xfe\xff"])
def test_a_garbled_classes_json_is_named(tmp_path, text):
    folder_of(tmp_path, val={"n1": 3})
    (tmp_path / "set/classes.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ParameterError, match=r"^data_root: set/classes\.json cannot be used: ") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_digits_are_those_of_the_data_room():
    for split, found in zip(("train", "test"), pictures.load("digits", "", 10**6, 10**6, 0), strict=True):
        whole = data.load("digits", split)
        inputs, labels = found.tensors()
        assert torch.equal(inputs, whole.inputs) and torch.equal(labels, whole.labels)
        assert found.embedded and found.classes == found.names == tuple(map(str, range(10)))
    fitted, unseen = pictures.load("digits", "", 50, 20, 3)
    assert Counter(fitted.labels.tolist()) == dict.fromkeys(range(10), 5) and len(unseen) == 20
    whole = data.load("digits", "train")
    for i in (0, 17, 49):
        picture, label = fitted[i]
        row = int(fitted.rows[i])
        assert torch.equal(picture, whole.inputs[row]) and label == int(whole.labels[row])
    assert not torch.equal(fitted.rows, pictures.load("digits", "", 50, 20, 4)[0].rows)


def counted(count=40):
    """Pictures that note which of them were read."""
    asked = []

    def read(row):
        asked.append(row)
        return torch.full((1, 2, 2), float(row))

    labels = torch.arange(count) % 4
    return pictures.Pictures(read, torch.arange(count), labels, tuple("abcd"), tuple("abcd")), asked


def test_only_the_pictures_that_are_asked_for_are_read():
    every, asked = counted()
    part = every.subset(torch.arange(10, 30)).subset(torch.tensor([3, 0, 19]))
    assert len(part) == 3 and part.labels.tolist() == [13 % 4, 10 % 4, 29 % 4] and not asked
    assert float(part[1][0].mean()) == 10 and asked == [10]
    inputs, labels = part.tensors()
    assert (
        asked == [10, 13, 10, 29] and inputs[:, 0, 0, 0].tolist() == [13, 10, 29] and torch.equal(labels, part.labels)
    )


def test_batches_are_read_one_after_the_other_in_order():
    every, asked = counted()
    batches = iter(every.batches(16))
    assert asked == [0]  # to know how large they are
    asked.clear()
    inputs, labels = next(batches)
    assert asked == list(range(16)) and inputs[:, 0, 0, 0].tolist() == asked and labels.tolist() == [0, 1, 2, 3] * 4
    assert [len(y) for _, y in batches] == [16, 8] and asked == list(range(40))


def of_classes(*names):
    return pictures.Pictures(lambda row: None, torch.arange(0), torch.arange(0), names, names)


def test_outputs_by_number_by_wordnet_id_or_not_at_all():
    from timm.data import ImageNetInfo  # after the repair in _compat

    info = ImageNetInfo()
    chosen = [217, 0, 701]
    wnids = [info.index_to_label_name(i) for i in chosen]
    assert pictures.outputs_of(of_classes(*wnids), 1000).tolist() == chosen
    assert pictures.outputs_of(of_classes(*wnids), 3).tolist() == [0, 1, 2]  # a network of its own
    assert pictures.outputs_of(of_classes(*wnids), 10) is None
    assert pictures.outputs_of(of_classes(*wnids, "fox"), 1000) is None
    every = sorted(info.label_names())
    found = pictures.outputs_of(of_classes(*every), 1000)
    assert [info.index_to_label_name(int(i)) for i in found] == every


def test_few_large_pictures_go_through_a_network_together():
    """As many values as the most pictures of some size have, and one picture at least, whatever it holds."""
    at_once, cuda = pictures.at_once, torch.device("cuda")
    assert at_once(torch.zeros(300, 3, 32, 32), 128) == 128 and at_once(torch.zeros(2, 9), 64) == 64
    for side in (80, 224, 500, 3000):
        inputs = torch.zeros(1, 1, 1, 1).expand(9, 3, side, side)
        found = at_once(inputs, 64)
        assert found == 1 or found * 3 * side**2 <= pictures.CACHED < (found + 1) * 3 * side**2
        assert at_once(inputs, 64, cuda) == 64
    assert at_once(torch.zeros(0, 3, 224, 224), 64) == 64
    shown = pictures.load("digits", "", 30, 20, 0)[0]
    assert at_once(shown, 64) == at_once(shown.tensors()[0], 64) == 64
