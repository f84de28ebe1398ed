"""Explanations of units and projections: records, explainers and simulators, scores, smooth projections."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from innercodes import explaining  # before transformers, which needs its repair of torchvision

# isort: split
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

from innercodes.explaining import LocalModel, TokenRidge
from innercodes.parameters import ParameterError


def reading(texts=24, length=16, vocabulary=12, seed=0):
    """Tokens of some texts, of different lengths, and the text each stands in."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(length // 2, length + 1, (texts,), generator=generator)
    text_index = torch.arange(texts).repeat_interleave(lengths)
    return torch.randint(vocabulary, (len(text_index),), generator=generator), text_index


# Records


@given(st.integers(0, 2**32), st.integers(2, 12))
def test_top_records_against_a_search_by_hand(seed, most):
    tokens, text_index = reading(seed=seed)
    text_index = text_index * 3 + 1  # texts need not be numbered in a row
    acts = torch.randn(len(tokens), 4, generator=torch.Generator().manual_seed(seed))
    records = explaining.top_records(acts, text_index, 2, most)
    values = acts[:, 2].clamp(min=0)
    maxima = {int(text): float(values[text_index == text].max()) for text in text_index.unique()}
    best = sorted(maxima, key=maxima.get, reverse=True)[:most]
    assert [record.text for record in records] == best
    for record in records:
        assert (text_index[record.rows] == record.text).all() and len(record.rows) == (text_index == record.text).sum()
        assert torch.allclose(record.activations, values[record.rows] * 10 / values.max())
    assert records[0].activations.max() == pytest.approx(10)
    explain, score = explaining.halves(records)
    assert [r.text for r in explain] == best[::2] and [r.text for r in score] == best[1::2]


def test_a_unit_that_is_never_on_has_records_of_zeros():
    _, text_index = reading()
    records = explaining.top_records(-torch.rand(len(text_index), 1), text_index, 0)
    assert len(records) == 10 and all((record.activations == 0).all() for record in records)


def test_bad_records_are_refused():
    acts = torch.rand(6, 2)
    with pytest.raises(ValueError, match="1 texts, 10: must be at least 2"):
        explaining.top_records(acts, torch.zeros(6, dtype=torch.int64), 0)
    with pytest.raises(ValueError, match="most"):
        explaining.top_records(acts, torch.arange(6), 0, most=1)
    with pytest.raises(ValueError, match=r"unit = 2: must be in 0 \.\.\. 1"):
        explaining.top_records(acts, torch.arange(6), 2)


# Without a model


@given(st.integers(0, 2**32), st.floats(0.1, 100))
def test_token_ridge_equals_ridge_in_its_dual_form(seed, penalty):
    """Two one-hot codes have the kernel [same token] + [same token before]; centring stands for the intercept."""
    tokens, text_index = reading(texts=8, seed=seed)
    rows = [tokens[text_index == text] for text in range(8)]
    acts = [torch.rand(len(row), generator=torch.Generator().manual_seed(i)) for i, row in enumerate(rows)]
    ridge = TokenRidge(penalty)
    simulated = ridge.simulate(ridge.explain(rows[:4], acts[:4]), rows[4:])

    def codes(rows):
        pairs = [(int(row[i]), int(row[i - 1]) if i else -1) for row in rows for i in range(len(row))]
        return np.array([[a == t for t in range(12)] + [b == t for t in range(-1, 12)] for a, b in pairs], float)

    x, z, y = codes(rows[:4]), codes(rows[4:]), torch.cat(acts[:4]).double().numpy()
    # What was not seen counts as none.
    z = z * (x.sum(0) > 0)
    kernel, cross = (x - x.mean(0)) @ (x - x.mean(0)).T, (z - x.mean(0)) @ (x - x.mean(0)).T
    expected = KernelRidge(alpha=penalty, kernel="precomputed").fit(kernel, y - y.mean()).predict(cross) + y.mean()
    assert [len(row) for row in simulated] == [len(row) for row in rows[4:]]
    assert np.allclose(torch.cat(simulated).numpy(), expected, atol=1e-8)


def test_token_ridge_finds_units_of_one_token_and_of_the_token_before():
    tokens, text_index = reading(texts=60)
    first = torch.cat([torch.tensor([True]), text_index[1:] != text_index[:-1]])
    before = torch.where(first, -1, tokens.roll(1))
    acts = torch.stack([tokens == 3, before == 5, torch.rand(len(tokens)) > 0.5], 1).float()
    found = explaining.scores(acts, tokens, text_index, 3, seed=0)
    # The order in which units are drawn is the seed's.
    order = torch.randperm(3, generator=torch.Generator().manual_seed(0))
    found = found[order.argsort()]
    assert found[0] > 0.98 and found[1] > 0.98 and abs(found[2]) < 0.4


# A local model


def byte_level():
    """A tokenizer of bytes and a few words; it has a token for each digit, and one for 10 or not."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<e>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["unknown 10 neuron token"] * 9, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<e>")


def tiny(tokenizer, positions=4096):
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=2, vocab_size=len(tokenizer), intermediate_size=24,
        num_key_value_heads=1, max_position_embeddings=positions, eos_token_id=0, bos_token_id=0, initializer_range=0.5,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(scope="module")
def local():
    tokenizer = byte_level()
    return LocalModel(tiny(tokenizer), tokenizer, lambda token: f" w{token}", longest=7)


def test_a_local_model_writes_one_line(local):
    rows = [torch.tensor([1, 2, 3]), torch.tensor([4, 5])]
    acts = [torch.tensor([0.0, 9.7, 3.2]), torch.tensor([0.4, 10.0])]
    said = local.explain(rows, acts)
    assert said == local.explain(rows, acts) and "\n" not in said
    assert 0 < len(said) <= 7 * len(" unknown")  # seven tokens of the longest kind
    # What the model has been shown: every token with its rounded activation.
    shown = []
    spy = LocalModel(local.model, local.tokenizer, local.words, longest=1)
    object.__setattr__(spy, "_prompt", lambda request: shown.append(request) or local._prompt(request))
    spy.explain(rows, acts)
    assert " w1\t0\n w2\t10\n w3\t3\n\n w4\t0\n w5\t10" in shown[0]


def test_simulated_activations_are_expected_values_under_the_model(local):
    """Each one from a pass of its own over the text up to there, and a sum over the numbers in a loop."""
    rows = [torch.tensor([7, 8, 9]), torch.tensor([7])]
    simulated = local.simulate("numbers", rows)
    assert [row.shape for row in simulated] == [(3,), (1,)]
    tokenizer = local.tokenizer
    assert len(tokenizer("10").input_ids) == 1
    ids = tokenizer(explaining.SIMULATE.format(explanation="numbers") + "\n\n").input_ids
    for place, token in enumerate(rows[0].tolist()):
        ids = ids + tokenizer(f" w{token}\t").input_ids
        with torch.no_grad():
            probabilities = local.model(torch.tensor([ids])).logits[0, -1].double().softmax(0)
        of_numbers = [float(probabilities[tokenizer(str(n)).input_ids[0]]) for n in range(11)]
        expected = sum(n * p for n, p in enumerate(of_numbers)) / sum(of_numbers)
        assert float(simulated[0][place]) == pytest.approx(expected, abs=1e-4)
        ids = ids + tokenizer("unknown\n").input_ids
    assert float(simulated[1][0]) == pytest.approx(float(simulated[0][0]), abs=1e-5)
    assert ((simulated[0] >= 0) & (simulated[0] <= 10)).all()
    assert not torch.allclose(local.simulate("something else", rows)[0], simulated[0])


def test_a_chat_model_gets_its_own_template(local):
    tokenizer = byte_level()
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    chat = LocalModel(local.model, tokenizer, local.words)
    assert tokenizer.decode(chat._prompt("a request")) == "[user]a request[assistant]"
    assert not torch.allclose(chat.simulate("x", [torch.arange(3)])[0], local.simulate("x", [torch.arange(3)])[0])


def test_ten_is_left_out_where_it_is_no_token_and_missing_digits_are_refused(local):
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain.train_from_iterator(
        [], trainers.BpeTrainer(vocab_size=256, initial_alphabet=alphabet, show_progress=False)
    )  # fmt: skip
    bytewise = LocalModel(local.model, PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="!"), local.words)
    assert len(bytewise._numbers()) == 10 and len(local._numbers()) == 11
    assert float(bytewise.simulate("x", [torch.arange(2)])[0].max()) <= 9
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    empty = LocalModel(local.model, PreTrainedTokenizerFast(tokenizer_object=words), local.words)
    with pytest.raises(ValueError, match="one token for each digit"):
        empty._numbers()


def test_texts_that_are_too_long_are_refused(local):
    short = LocalModel(tiny(local.tokenizer, 64), local.tokenizer, local.words)
    with pytest.raises(ValueError, match="takes 64 tokens, must take the"):
        short.simulate("x", [torch.arange(3)])
    with pytest.raises(ValueError, match="takes 64 tokens"):
        short.explain([torch.arange(3)], [torch.zeros(3)])


def test_a_local_model_of_a_folder_scores_units(local, tmp_path):
    local.model.save_pretrained(tmp_path)
    local.tokenizer.save_pretrained(tmp_path)
    loaded = explaining.local_model(str(tmp_path), local.words)
    assert torch.allclose(loaded.simulate("x", [torch.arange(4)])[0], local.simulate("x", [torch.arange(4)])[0])
    tokens, text_index = reading(texts=4, length=6)
    found = explaining.scores(torch.rand(len(tokens), 3), tokens, text_index, 2, most=4, explainer=loaded)
    assert found.shape == (2,) and (found.abs() <= 1).all()
    with pytest.raises(ParameterError):
        explaining.local_model(str(tmp_path / "missing" / "folder" / "x"), local.words)


# Scores


@given(st.integers(0, 2**32), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_the_score_is_the_correlation_of_the_concatenation(seed, lengths):
    rng = np.random.default_rng(seed)
    true = [torch.from_numpy(rng.normal(size=n)) for n in (*lengths, 3)]
    simulated = [a + torch.from_numpy(rng.normal(size=len(a))) for a in true]
    expected = np.corrcoef(torch.cat(simulated).numpy(), torch.cat(true).numpy())[0, 1]
    assert explaining.score(simulated, true) == pytest.approx(expected, abs=1e-12)
    moved = [3.5 * a - 2 for a in simulated]
    assert explaining.score(moved, true) == pytest.approx(expected, abs=1e-10)
    assert explaining.score([-a for a in true], true) == pytest.approx(-1)


def test_constant_sides_have_no_score():
    varied, constant = [torch.arange(4.0)], [torch.full((4,), 0.1)]
    assert math.isnan(explaining.score(varied, constant)) and math.isnan(explaining.score(constant, varied))
    with pytest.raises(ValueError, match="simulated: 3 tokens, must be 4"):
        explaining.score([torch.arange(3.0)], varied)


class Oracle:
    """Explains by nothing and simulates the token's own number; keeps what it was shown."""

    def __init__(self):
        self.shown = []

    def explain(self, tokens, activations):
        self.shown.append((tokens, activations))
        return len(self.shown)

    def simulate(self, explanation, tokens):
        assert explanation == len(self.shown)
        return [row.double() for row in tokens]


def test_scores_show_even_records_and_score_odd_ones():
    tokens, text_index = reading()
    acts = torch.stack([tokens.float(), -tokens.float() + 20, torch.zeros(len(tokens))], 1)
    oracle = Oracle()
    found = explaining.scores(acts, tokens, text_index, 3, seed=4, most=6, explainer=oracle)
    order = torch.randperm(3, generator=torch.Generator().manual_seed(4)).tolist()
    assert found[order.index(0)] == pytest.approx(1) and found[order.index(1)] == pytest.approx(-1)
    assert math.isnan(found[order.index(2)])
    for unit, (rows, activations) in zip(order, oracle.shown, strict=True):
        best = explaining.top_records(acts, text_index, unit, 6)
        assert len(rows) == 3 and all(torch.equal(row, tokens[r.rows]) for row, r in zip(rows, best[::2], strict=True))
        assert all(torch.equal(a, r.activations) for a, r in zip(activations, best[::2], strict=True))


def test_another_simulator_may_be_given():
    tokens, text_index = reading()
    acts = tokens.float()[:, None]

    class Noise:
        def simulate(self, explanation, tokens):
            return [torch.rand(len(row)) for row in tokens]

    both = explaining.scores(acts, tokens, text_index, 1)
    other = explaining.scores(acts, tokens, text_index, 1, simulator=Noise())
    assert both[0] > 0.9 and abs(other[0]) < 0.5


def test_projections_are_normal_directions_with_variance_one_over_the_units():
    tokens, text_index = reading(texts=40)
    acts = torch.rand(len(tokens), 50)
    seen = []

    class Watching(Oracle):
        def explain(self, tokens, activations):
            seen.append(activations)
            return super().explain(tokens, activations)

    explaining.scores(acts, tokens, text_index, 5, kind="projections", seed=2, explainer=Watching())
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(50, 5, generator=generator) / 50**0.5
    for unit, activations in enumerate(seen):
        best = explaining.top_records(acts @ weights, text_index, unit)
        assert all(torch.allclose(a, r.activations, atol=1e-4) for a, r in zip(activations, best[::2], strict=True))


def test_scores_repeat_and_refuse_bad_settings():
    tokens, text_index = reading()
    acts = torch.randn(len(tokens), 6)
    for kind in explaining.KINDS:
        found = [explaining.scores(acts, tokens, text_index, 4, kind, seed) for seed in (0, 0, 1)]
        assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])
        assert found[0].shape == (4,) and found[0].dtype == torch.float64
    with pytest.raises(ValueError, match="kind = 'words': must be one of neurons, projections"):
        explaining.scores(acts, tokens, text_index, 4, "words")
    with pytest.raises(ValueError, match=r"count = 7: must be in 1 \.\.\. 6"):
        explaining.scores(acts, tokens, text_index, 7)
    assert explaining.scores(acts, tokens, text_index, 7, "projections").shape == (7,)


# Smooth projections


def test_the_lowest_action_is_the_smallest_of_all_draws():
    acts = torch.randn(20, 8, generator=torch.Generator().manual_seed(0)).cumsum(0)
    found = explaining.lowest_action(acts, draws=50, seed=3)
    weights = torch.randn(8, 50, generator=torch.Generator().manual_seed(3)) / 8**0.5
    paths = acts @ weights
    actions = [0.5 * sum(float(paths[i + 1, d] - paths[i, d]) ** 2 for i in range(19)) for d in range(50)]
    assert found.draw == int(np.argmin(actions)) and found.action == pytest.approx(min(actions), rel=1e-4)
    assert torch.allclose(found.path, paths[:, found.draw], atol=1e-4) and found.path.shape == (20,)
    assert np.allclose(found.actions.numpy(), actions, rtol=1e-4)
    with pytest.raises(ValueError, match="1 tokens"):
        explaining.lowest_action(acts[:1])
