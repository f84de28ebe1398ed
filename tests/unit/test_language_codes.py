"""The language model's lens on tiny random networks, and its two endpoints against loops."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedTokenizerFast

from innercodes import causal, claims, explaining, language_codes, parameters, spectra
from innercodes.language_codes import Language
from innercodes.parameters import ParameterError

CHAPTER = "04_coding_spectra"
DEFAULTS = {p.name: p.default for p in parameters.CHAPTERS[CHAPTER]}
SMALL = {
    "progress": "off", "device": "cpu", "bootstrap": 100, "repeats": 3, "text_count": 20, "text_tokens": 20, "explained": 3,
    "projections": 30,
}  # fmt: skip
KINDS = ("trained", "untrained", "random tokens")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return parameters.check(CHAPTER, DEFAULTS | SMALL | {"out_dir": str(tmp_path_factory.mktemp("out"))})


def changed(run, **values):
    return dataclasses.replace(run, values={**run.values, **values})


def tokenizer():
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(30)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny GPT-2 as transformers writes it, for texts of at most 24 tokens."""
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(5)
    config = GPT2Config(n_embd=16, n_head=2, n_layer=3, vocab_size=30, n_positions=24, bos_token_id=0, eos_token_id=0)
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return str(path)


def texts(*_):
    rng = np.random.default_rng(0)
    return [" ".join(f"w{i}" for i in rng.integers(1, 30, 24)) for _ in range(26)]


@pytest.fixture(scope="module")
def found(run, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(causal, "texts", texts)
        return language_codes.read(changed(run, language_weights=folder))


# Reading


def test_the_model_its_twin_and_random_tokens_are_read(run, folder, found):
    assert tuple(found.readings) == KINDS and found.layers == (0, 1, 2)
    reading = found.readings["trained"]
    assert reading.text_index.unique().tolist() == list(range(20))
    assert len(reading.tokens) == 20 * 19  # the first of 20 tokens is left out
    assert reading.layers[1].shape == (380, 64)
    expected = [int(word[1:]) for word in texts()[0].split()][1:20]
    assert reading.tokens[:19].tolist() == expected and list(found.words) == [f"w{i}" for i in expected]
    twin = found.readings["untrained"]
    assert torch.equal(twin.tokens, reading.tokens) and not torch.allclose(twin.layers[0], reading.layers[0])
    noise = found.readings["random tokens"]
    assert not torch.equal(noise.tokens, reading.tokens) and len(noise.tokens) == 380
    model = causal.load(folder)[0]
    again = causal.activations(model, tokenizer(), noise.tokens.view(20, 19), "mlp", 20)
    assert not torch.equal(again.layers[0], noise.layers[0])  # they stand behind a first token
    everything = causal.random_tokens(model, 20, 20, run.seed)
    assert torch.equal(everything[:, 1:].flatten(), noise.tokens)


def test_alphas_are_debiased_slopes_of_units_over_tokens(run, found):
    for kind in KINDS:
        assert found.alpha[kind].shape == (3, 1 + run.repeats)
        for layer, acts in found.readings[kind].layers.items():
            assert found.alpha[kind][layer, 0] == spectra.debiased_alpha(acts, (10, 50), run.seed)
    drawn = causal.layer_alphas(
        found.readings["trained"].layers, found.readings["trained"].text_index, run.seed, run.repeats
    )
    assert found.alpha["trained"][2, 1:].tolist() == drawn[2].replicates.tolist()


def test_scores_are_those_of_the_explainer_without_a_model(run, found):
    for kind in ("trained", "untrained"):
        reading = found.readings[kind]
        for name in ("neurons", "projections"):
            assert found.scores[kind][name].shape == (3, 3)
            expected = explaining.scores(reading.layers[1], reading.tokens, reading.text_index, 3, name, run.seed)
            assert found.scores[kind][name][1] == pytest.approx(expected.numpy(), nan_ok=True)


def test_the_same_seed_gives_the_same_numbers(run, folder, found, monkeypatch):
    monkeypatch.setattr(causal, "texts", texts)
    again = language_codes.read(changed(run, language_weights=folder))
    assert np.array_equal(again.alpha["untrained"], found.alpha["untrained"])
    assert language_codes.metrics(again) == language_codes.metrics(found)


def test_metrics_hold_numbers_and_no_text(found):
    kept = language_codes.metrics(found)
    assert kept["layers"] == [0, 1, 2] and kept["tokens"] == 380
    assert kept["alpha"]["untrained"] == found.alpha["untrained"][:, 0].tolist()
    assert kept["scores"]["trained"]["neurons"] == pytest.approx(
        np.nanmean(found.scores["trained"]["neurons"], 1).tolist()
    )
    assert "w1" not in str(kept)


def test_the_smoothest_projection_is_of_the_first_text(run, found):
    calm = language_codes.smoothest(found, 2, run)
    reading = found.readings["trained"]
    paths = spectra.random_projections(reading.layers[2][:19], 30, run.seed, dimensions=1)[..., 0]
    actions = [sum(float((path[i + 1] - path[i]) ** 2) for i in range(18)) / 2 for path in paths]
    assert calm.draw == int(np.argmin(actions)) and calm.action == pytest.approx(min(actions), rel=1e-4)
    assert len(calm.path) == 19 <= len(found.words)


# Refusals


def test_texts_longer_than_the_network_takes_are_refused(run, folder, monkeypatch):
    monkeypatch.setattr(causal, "texts", texts)
    with pytest.raises(ParameterError, match="text_tokens = 25: must be at most 24"):
        language_codes.read(changed(run, language_weights=folder, text_tokens=25))


def test_a_folder_without_a_model_is_refused(run, tmp_path):
    with pytest.raises(ParameterError):
        language_codes.read(changed(run, language_weights=str(tmp_path)))


# COD-16


def language_of(layers, seed=0, units=8, repeats=3, scores=None):
    rng = np.random.default_rng(seed)
    alpha = {kind: rng.normal(-0.7, 0.1, (layers, 1 + repeats)) for kind in KINDS}
    scores = scores or {
        kind: {name: rng.uniform(-0.1, 0.8, (layers, units)) for name in explaining.KINDS} for kind in KINDS[:2]
    }
    return Language(tuple(range(layers)), {}, alpha, scores, ())


def test_flat_everywhere_is_the_smallest_alpha_of_the_48_layers():
    assert f"over the {language_codes.GPT2_XL_LAYERS} layers" in claims.of_chapter(CHAPTER)["COD-16"]["measure"]
    language = language_of(48)
    found = language_codes.flat_everywhere(language)
    least = {kind: [min(layer[c] for layer in rows) for c in range(4)] for kind, rows in language.alpha.items()}
    assert found["value"] == least["trained"][0] and found["ci"][0] < found["value"] < found["ci"][1]
    assert found["twin"].value == pytest.approx(least["trained"][0] - least["untrained"][0])
    assert found["baseline"] == {kind: pytest.approx(least[kind][0]) for kind in KINDS[1:]}


def test_another_model_than_gpt2_xl_is_a_reason(found):
    assert "3 layers; the claim is about the 48" in language_codes.flat_everywhere(found)


@pytest.mark.parametrize("preset", ["quick", "imagenet", "paper"])
def test_endpoints_fit_what_their_scale_asks_for(run, preset):
    there = changed(run, preset=preset)
    results = claims.Results(there)
    results.take("COD-16", language_codes.flat_everywhere(language_of(48)))
    results.take("COD-17", language_codes.opposite_profiles(language_of(12), there))
    judged = {row["id"] for row in results.rows() if row["value"] is not None}
    assert judged == ({"COD-16", "COD-17"} if preset == "paper" else set())


# COD-17


def test_opposite_profiles_are_a_rank_correlation_over_layers_of_mean_scores(run):
    language = language_of(13)
    language.scores["trained"]["neurons"][4, 2] = math.nan  # a unit that says nothing
    found = language_codes.opposite_profiles(language, run)

    def correlation(kind):
        means = [
            [np.mean([s for s in layer if not math.isnan(s)]) for layer in language.scores[kind][name]]
            for name in explaining.KINDS
        ]
        return spearmanr(*means).statistic

    assert found["value"] == pytest.approx(correlation("trained"))
    assert found["baseline"]["untrained"] == pytest.approx(correlation("untrained"))
    assert found["twin"].value == pytest.approx(correlation("trained") - correlation("untrained"))
    assert -1 < found["baseline"]["layers permuted, 5 % quantile"] < -0.3
    assert language_codes.opposite_profiles(language, run)["ci"] == found["ci"]


def test_profiles_that_mirror_each_other(run):
    rng = np.random.default_rng(1)
    rise = np.linspace(0, 1, 12)[:, None] + 0.01 * rng.normal(size=(12, 8))
    mirrored = {"neurons": rise, "projections": 1 - rise}
    alike = {"neurons": rise, "projections": rise}
    found = language_codes.opposite_profiles(language_of(12, scores={"trained": mirrored, "untrained": alike}), run)
    assert found["value"] == -1 and found["ci"][1] < -0.9 and found["twin"].interval()[1] < 0


def test_profiles_resample_units_and_keep_layers():
    rows = np.random.default_rng(0).normal(size=(1, 5, 6, 12, 2))  # networks, draws, units, layers, kinds
    found = language_codes._profiles(rows, 2)
    assert found.shape == (1, 5)
    assert found[0, 3] == pytest.approx(spearmanr(*rows[0, 3].mean(0).T).statistic)


def test_few_layers_are_a_reason(run, found):
    assert f"at least {language_codes.FEWEST_LAYERS} layers" in claims.of_chapter(CHAPTER)["COD-17"]["measure"]
    assert "3 layers" in language_codes.opposite_profiles(found, run)
    assert "11 layers" in language_codes.opposite_profiles(language_of(11), run)
