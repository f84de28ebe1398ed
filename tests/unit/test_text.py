"""Games whose players are words: sentences, vocabulary, masking, prompts."""

import ast
import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from innercodes import language, models, text
from innercodes.parameters import ParameterError, Run
from innercodes.text import PADDING, UNKNOWN


def run(**values):
    defaults = {"dataset": "docstrings", "model": "lstm", "seed": 0, "n_players": 8, "n_samples": 40, "train_size": 600}
    values = {**defaults, "mask_value": 0.0, "data_root": "", "weights": "", **values}
    return Run("02_sparse_interactions", values, torch.device("cpu"), (values["seed"],), False)


@pytest.fixture(scope="module")
def sentences():
    return text.docstring_sentences()


@pytest.fixture(autouse=True)
def read_once(monkeypatch, sentences):
    monkeypatch.setattr(text, "docstring_sentences", lambda: sentences)


def test_docstring_sentences_are_english_without_repeats_or_the_package_names(sentences):
    train, test = sentences
    assert len(train.tokens) > 2000 and len(test.tokens) > 400
    both = [" ".join(tokens) for side in sentences for tokens in side.tokens]
    assert len(set(both)) == len(both)
    for name in ("sklearn", "scikit", "networkx", "`", "=", "_", "(", ">>>"):
        assert not any(name in sentence for sentence in both)
    # English, not code: the most frequent word of English is the most frequent here.
    assert [word for word, _ in Counter(" ".join(both).split()).most_common(2)] in ([".", "the"], ["the", "."])
    assert all(min(side.labels.bincount()) > 0.35 * len(side.labels) for side in sentences)


def test_no_file_is_on_both_sides(monkeypatch, tmp_path):
    for package in text.PACKAGES:
        (tmp_path / package / "tests").mkdir(parents=True)
        for i in range(20):
            docstring = '"""Some words about the number {} in this file of {}.\n\n    The same sentence is in all of the files.\n    """\n'
            digits = "".join("abcdefghij"[int(d)] for d in str(i))
            (tmp_path / package / f"file{i}.py").write_text(
                docstring.format(digits, "it" if package == "sklearn" else "us")
            )
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('a module was imported')\n")
        (tmp_path / package / "tests" / "file.py").write_text(
            '"""This sentence is in a test and must not be read."""\n'
        )
    monkeypatch.undo()
    monkeypatch.setattr(
        text.importlib.util,
        "find_spec",
        lambda name: type("Spec", (), {"origin": str(tmp_path / name / "__init__.py")}),
    )
    train, test = text.docstring_sentences()
    assert len(train.tokens) + len(test.tokens) == 2 * 20 + 1 and len(test.tokens) >= 2
    assert sum("same" in tokens for side in (train, test) for tokens in side.tokens) == 1
    assert not any("test" in tokens for side in (train, test) for tokens in side.tokens)
    again = text.docstring_sentences()
    assert [side.tokens for side in again] == [train.tokens, test.tokens]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(text, "PACKAGES", {"no_such_package": ("nothing", "x")})
    with pytest.raises(ParameterError, match="^dataset = 'docstrings': .*no_such_package"):
        text.docstring_sentences()


def test_all_docstrings_of_a_file_are_found():
    tree = ast.parse(
        '"""A."""\nclass C:\n    """B."""\n    def f(self):\n        """D."""\ndef g():\n    def h():\n        """E."""'
    )
    assert [d for d in text._docstrings(tree) if d] == ["A.", "B.", "D.", "E."]


def test_the_players_are_words_of_the_sentence_and_masking_hides_exactly_them():
    game = text.docstrings(run())
    assert game.inputs.shape == (40, text.WIDTH) and game.inputs.dtype == torch.int64 and game.n == 8
    assert game.train.inputs.shape == (600, text.WIDTH) and game.train.labels.bincount().tolist() == [300, 300]
    masks = torch.eye(8, dtype=torch.bool)
    for sample in range(40):
        tokens = game.masked.texts[sample].split()
        assert 8 <= len(tokens) <= 16
        places = [int(i) for p in range(8) for i in torch.nonzero(game.masked.owners[sample] == p)[:, 0]]
        assert places == sorted(places) and len(places) == 8
        assert tuple(tokens[i - text.WIDTH + len(tokens)] for i in places) == game.masked.words[sample]
        shown = game.masked(sample, masks)
        assert shown.shape == (8, 1, text.WIDTH) and shown.dtype == torch.int64
        for p, row in enumerate(shown[:, 0]):
            expected = game.inputs[sample].clone()
            expected[[place for i, place in enumerate(places) if i != p]] = PADDING
            assert torch.equal(row, expected)
        assert torch.equal(game.masked(sample, torch.ones(1, 8, dtype=torch.bool))[0, 0], game.inputs[sample])


def test_the_same_seed_gives_the_same_game_and_another_seed_another():
    first, again, other = text.docstrings(run()), text.docstrings(run()), text.docstrings(run(seed=1))
    assert torch.equal(first.inputs, again.inputs) and torch.equal(first.train.inputs, again.train.inputs)
    assert first.masked.words == again.masked.words
    assert first.masked.texts != other.masked.texts


def test_the_vocabulary_holds_the_words_seen_twice_by_frequency():
    vocabulary = text._vocabulary([["b", "a", "b", "c"], ["a", "b", "d", "d"]])
    assert vocabulary == {"b": 2, "a": 3, "d": 4}
    encoded = text._encode([["a", "c"], ["d", "b", "b"]], vocabulary, 4)
    assert encoded.tolist() == [[PADDING, PADDING, 3, UNKNOWN], [PADDING, 4, 2, 2]]
    game = text.docstrings(run())
    assert game.sizes["outputs"] == 2 and int(game.train.inputs.max()) == game.sizes["vocabulary"] - 1
    # Unknown words are learned from the words seen once.
    assert (game.train.inputs == UNKNOWN).any() and (game.inputs[:, -1] != PADDING).all()


def test_an_lstm_learns_where_a_sentence_comes_from():
    game = text.docstrings(run(train_size=2000, n_samples=400))
    network = models.load("lstm", 0, **game.sizes)
    models.train(network, game.train.inputs, game.train.labels, 8, 1.0, seed=0)
    # About 0.8; chance is 0.5, with a standard error of 0.025.
    assert models.accuracy(network, game.inputs, game.labels) > 0.65


@pytest.fixture()
def root(tmp_path):
    """A folder with a few rows of SST-2, and stories of the same words."""
    folder = tmp_path / "text"
    (folder / "squad_prompts").mkdir(parents=True)
    rows = [f'a "quoted film number {i} , {"good" if i % 2 else "bad"} as can be \t{i % 2}' for i in range(60)]
    (folder / "sst2_train.tsv").write_text("sentence\tlabel\n" + "\n".join(rows) + "\n")
    (folder / "sst2_dev.tsv").write_text("sentence\tlabel\n" + "\n".join(rows[:30]) + "\nshort \t1\n")
    return tmp_path


def test_sst2_is_read_with_its_quotation_marks(root):
    game = text.sst2(run(dataset="sst2", n_samples=30, train_size=20, data_root=str(root)))
    assert game.train.classes == ("bad", "good") and game.labels.bincount().tolist() == [15, 15]
    # `a "quoted film number 0 , bad as can be`: 10 tokens, 9 of them words, 8 of these the players.
    assert set(map(len, game.masked.words)) == {8} and not any("," in words for words in game.masked.words)
    everyone = text.sst2(run(dataset="sst2", n_samples=30, train_size=20, n_players=9, data_root=str(root)))
    assert everyone.masked.words[0][:4] == ("a", '"quoted', "film", "number")


@pytest.mark.parametrize(
    ("dataset", "changes", "name"),
    [
        ("docstrings", {"n_samples": 100_000}, "n_samples"),
        ("docstrings", {"train_size": 60_000}, "train_size"),
        ("docstrings", {"mask_value": 1.0}, "mask_value"),
        ("sst2", {}, "data_root"),
        ("sst2", {"data_root": "/nowhere"}, "data_root"),
        ("tinystories", {}, "data_root"),
        ("squad", {}, "data_root"),
    ],
)
def test_games_that_cannot_be_made_are_refused(dataset, changes, name):
    with pytest.raises(ParameterError, match=f"^{name} = .*must be"):
        getattr(text, dataset)(run(dataset=dataset, **changes))


def test_broken_files_are_named(root):
    (root / "text" / "sst2_dev.tsv").write_text("sentence\tlabel\ngood\t7\n")
    with pytest.raises(ParameterError, match="^data_root = 'sst2_dev.tsv'"):
        text.sst2(run(dataset="sst2", data_root=str(root)))
    (root / "text" / "tinystories_1000.json").write_text("[")
    with pytest.raises(ParameterError, match="^data_root = 'tinystories_1000.json'"):
        text.tinystories(run(dataset="tinystories", data_root=str(root)))


def test_meaningful_words():
    assert all(map(text.meaningful, ("fish", "Fish,", "“Lily!”", "49–15", "$5", " tree")))
    assert not any(map(text.meaningful, ("the", "And", "him.", "…", "–", "", '"')))
    assert {"the", "and", "him"} <= ENGLISH_STOP_WORDS


STORY = " ".join(f"the dog{i} and cat{i}" for i in range(30))


def test_a_prompt_ends_before_a_meaningful_word():
    prompt = text._cut(STORY, 5, torch.Generator().manual_seed(0))
    words = STORY.split()
    # 15 words, and the 16th, cat3, is meaningful.
    assert prompt.text == " ".join(words[:15]) and words[15] == "cat3"
    spans = [prompt.text[a:b] for a, b in prompt.players]
    assert len(spans) == 5 and all(map(text.meaningful, spans)) and spans == sorted(spans, key=words.index)
    # No prompt where the story is too short, all words are stop words, or punctuation is near everywhere.
    for story in (" ".join(words[:14]), "the and of " * 20, "dog, cat, " * 20):
        assert text._cut(story, 5, torch.Generator().manual_seed(0)) is None


def test_words_are_found_in_order():
    assert text._find("a b a c b", ["b", "a", "b"]) == ((2, 3), (4, 5), (8, 9))
    with pytest.raises(ParameterError, match="^data_root = 'player_words.json'"):
        text._find("a b", ["b", "a"])


class Answers:
    """A network that answers with a fixed token, and a tokenizer with one token a character."""

    positions = 10_000

    def __init__(self, word):
        self.word = word

    def __call__(self, tokens):
        return torch.zeros(len(tokens), 300).index_fill_(1, torch.tensor([7]), 1.0)

    def decode(self, tokens, skip_special_tokens):
        assert tokens == [7] and skip_special_tokens
        return self.word


class Characters(Answers):
    def __call__(self, prompt, return_offsets_mapping):
        pairs = [(i, i + 1) for i in range(len(prompt))]
        return type("Encoded", (), {"input_ids": [ord(c) for c in prompt], "offset_mapping": pairs})


@pytest.fixture()
def answer(monkeypatch):
    def install(word):
        monkeypatch.setattr(language, "load", lambda *_: (Answers(word), Characters(word)))

    return install


def test_prompts_of_a_language_model_mask_the_characters_of_the_words(root, answer):
    answer(" fish")
    stories = [STORY, STORY.replace("dog", "elephant")]
    (root / "text" / "tinystories_1000.json").write_text(json.dumps(stories))
    game = text.tinystories(run(dataset="tinystories", n_players=5, n_samples=2, data_root=str(root)))
    assert game.labels is None and len(game.train.labels) == 0 and game.n == 5
    for sample in range(2):
        prompt, words = game.masked.texts[sample], game.masked.words[sample]
        whole = game.masked(sample, torch.ones(1, 5, dtype=torch.bool))
        assert whole.shape == (1, 1, len(prompt)) and whole[0, 0].tolist() == [ord(c) for c in prompt]
        for p, row in enumerate(game.masked(sample, ~torch.eye(5, dtype=torch.bool))[:, 0]):
            shown = "".join("*" if i == language.MASKED else chr(i) for i in row.tolist())
            assert shown == prompt.replace(words[p], "*" * len(words[p]), 1)
    # The shorter prompt is filled up at the left.
    assert sorted(game.masked.starts)[0] == 0 < max(game.masked.starts)
    assert (game.inputs == language.NO_TOKEN).sum() == max(game.masked.starts)


@pytest.mark.parametrize("word", [" the", ".", ""])
def test_prompts_without_a_meaningful_answer_are_dropped(root, answer, word):
    answer(word)
    (root / "text" / "tinystories_1000.json").write_text(json.dumps([STORY] * 5))
    with pytest.raises(ParameterError, match="^n_samples = 2: must be at most 0"):
        text.tinystories(run(dataset="tinystories", n_players=5, n_samples=2, data_root=str(root)))


def test_the_prompts_of_squad_have_the_players_of_their_file(root, answer):
    answer("fish")
    folder = root / "text" / "squad_prompts"
    (folder / "sentence.txt").write_text(f"{STORY}\n{STORY}\n")
    words = [f"{animal}{i}" for i in range(5) for animal in ("dog", "cat")]
    (folder / "player_words.json").write_text(json.dumps([words, words]))
    options = {"dataset": "squad", "n_samples": 2, "data_root": str(root)}
    assert text.squad(run(**options, n_players=10)).masked.words == (tuple(words),) * 2
    with pytest.raises(ParameterError, match="^n_players = 8: must be 10"):
        text.squad(run(**options))
    (folder / "player_words.json").write_text(json.dumps([words]))
    with pytest.raises(ParameterError, match="^data_root = 'player_words.json'"):
        text.squad(run(**options, n_players=10))


def test_a_prompt_longer_than_the_network_takes_is_refused(root, answer, monkeypatch):
    answer("fish")
    monkeypatch.setattr(Answers, "positions", 20)
    (root / "text" / "tinystories_1000.json").write_text(json.dumps([STORY]))
    with pytest.raises(ParameterError, match="^n_players = 5: must be smaller"):
        text.tinystories(run(dataset="tinystories", n_players=5, n_samples=1, data_root=str(root)))


def test_nothing_here_names_a_place_on_a_machine():
    assert "/work" not in Path(text.__file__).read_text() + Path(language.__file__).read_text()
