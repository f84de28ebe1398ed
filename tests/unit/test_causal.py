"""Language models of chapter 04: texts, activations at every token, slopes of layers, and the small model's training
script.
"""

import json
import re

import language_model
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, OPTConfig, PreTrainedTokenizerFast

from innercodes import causal, spectra
from innercodes.parameters import ParameterError

CONFIGS = {
    "llama": LlamaConfig(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=3, vocab_size=30, intermediate_size=24,
        num_key_value_heads=1, max_position_embeddings=64,
    ),
    "gpt2": GPT2Config(n_embd=16, n_head=2, n_layer=3, vocab_size=30, n_positions=64, bos_token_id=0, eos_token_id=0),
    "opt": OPTConfig(
        hidden_size=16, num_attention_heads=2, num_hidden_layers=2, vocab_size=30, ffn_dim=24, word_embed_proj_dim=16
    ),
}  # fmt: skip
TEXTS = ["w1 w2 w3", "w4 w5 w6 w7 w8 w9 w10 w11", "w12", "w13 w14 w1 w1 w2"]


def tiny(name, seed=0):
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(CONFIGS[name]).eval()


def words(begins=False):
    """A tokenizer of whole words, which puts a special token in front or not."""
    tokenizer = Tokenizer(WordLevel({"<s>": 0, **{f"w{i}": i for i in range(1, 30)}}, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")


def by_hand(model, row, site):
    """The activations of one text alone, written out from the network's own parts."""
    base = model.base_model
    blocks = base.h if hasattr(base, "h") else base.layers
    inputs = {}
    hooks = [b.mlp.register_forward_hook(lambda m, i, o, k=k: inputs.update({k: i[0]})) for k, b in enumerate(blocks)]
    with torch.no_grad():
        hidden = model(torch.tensor([row]), output_hidden_states=True).hidden_states
        if site == "mlp" and hasattr(base, "h"):
            units = [b.mlp.act(inputs[k] @ b.mlp.c_fc.weight + b.mlp.c_fc.bias) for k, b in enumerate(blocks)]
        elif site == "mlp":
            units = [
                torch.nn.functional.silu(inputs[k] @ b.mlp.gate_proj.weight.T) * (inputs[k] @ b.mlp.up_proj.weight.T)
                for k, b in enumerate(blocks)
            ]
        else:
            units = list(hidden[1:])
    [hook.remove() for hook in hooks]
    return [u[0] for u in units]


@pytest.mark.parametrize("site", causal.SITES)
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_activations_are_those_of_each_text_alone(name, site):
    model, tokenizer = tiny(name), words()
    read = causal.activations(model, tokenizer, TEXTS, site, tokens=6, batch_size=3)
    rows = [tokenizer(text).input_ids[:6] for text in TEXTS]
    assert read.tokens.tolist() == [token for row in rows for token in row]
    assert read.text_index.tolist() == [i for i, row in enumerate(rows) for _ in row]
    # The last hidden state that transformers gives comes after the final norm: that block is compared below.
    checked = range(3) if site == "mlp" else range(2)
    expected = [by_hand(model, row, site) for row in rows]
    for layer in checked:
        assert torch.allclose(read.layers[layer], torch.cat([text[layer] for text in expected]), atol=1e-5)
    if site == "residual":
        norm = model.base_model.ln_f if name == "gpt2" else model.base_model.norm
        assert torch.allclose(norm(read.layers[2]), torch.cat([text[2] for text in expected]), atol=1e-5)
    width = 16 if site == "residual" else {"llama": 24, "gpt2": 64}[name]
    assert read.layers[0].shape == (sum(map(len, rows)), width) and read.layers[0].dtype == torch.float32


def test_special_tokens_and_the_first_ones_are_read_but_not_kept():
    model = tiny("llama")
    plain = causal.activations(model, words(), TEXTS)
    begun = causal.activations(model, words(begins=True), TEXTS, tokens=20)
    assert torch.equal(begun.tokens, plain.tokens) and torch.equal(begun.text_index, plain.text_index)
    assert not torch.allclose(begun.layers[0], plain.layers[0])  # the special token has been read
    later = causal.activations(model, words(begins=True), TEXTS, tokens=20, skip=1)
    kept = torch.tensor([i for i, text in enumerate(plain.text_index) if i and plain.text_index[i - 1] == text])
    assert torch.equal(later.tokens, plain.tokens[kept]) and 2 not in later.text_index  # the text of one word is gone
    assert torch.allclose(later.layers[1], begun.layers[1][kept], atol=1e-6)
    # The special token counts among the tokens read.
    assert causal.activations(model, words(begins=True), TEXTS, tokens=3).tokens.tolist() == [1, 2, 4, 5, 12, 13, 14]


@pytest.mark.parametrize("most", [1, 3, 4, 11, 100])
def test_reading_stops_at_most_tokens(most):
    model = tiny("gpt2")
    every = causal.activations(model, words(), TEXTS)
    read = causal.activations(model, words(), TEXTS, most_tokens=most, layers=[2])
    assert list(read.layers) == [2] and len(read.tokens) == min(most, 17) == len(read.layers[2])
    assert torch.equal(read.tokens, every.tokens[:most]) and torch.equal(read.text_index, every.text_index[:most])
    assert torch.allclose(read.layers[2], every.layers[2][:most], atol=1e-6)


def test_activations_leave_the_network_as_it_was():
    model = tiny("gpt2").train()
    read = causal.activations(model, words(), TEXTS)
    assert model.training and not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    assert torch.equal(read.layers[0], causal.activations(model, words(), TEXTS).layers[0])  # dropout is off


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"texts": ["w1", "  "]}, r"texts\[1\] = '  ': must have at least one token"),
        ({"texts": []}, "must be at least one text"),
        ({"site": "attention"}, "site = 'attention': must be one of mlp, residual"),
        ({"layers": [0, 3]}, "must be among 0 ... 2"),
        ({"tokens": 65}, "tokens = 65: must be in 1 ... 64"),
        ({"tokens": 0}, "tokens = 0"),
        ({"most_tokens": 0}, "most_tokens = 0"),
        ({"skip": 8}, "skip = 8: must leave some tokens; the longest text has 8"),
    ],
)
def test_bad_readings_are_refused_in_one_line(given, message):
    given = {"texts": TEXTS, "tokens": 8, **given}
    with pytest.raises(ValueError, match=message) as raised:
        causal.activations(tiny("gpt2"), words(), **given)
    assert "\n" not in str(raised.value)


def test_other_types_of_networks_are_refused():
    with pytest.raises(ValueError, match="OPTForCausalLM: must be of the GPT-2 or the Llama type"):
        causal.activations(tiny("opt"), words(), TEXTS)


def test_random_tokens_are_even_and_repeatable():
    model = tiny("llama")
    drawn = causal.random_tokens(model, 600, 20, seed=3)
    assert drawn.shape == (600, 20) and torch.equal(drawn, causal.random_tokens(model, 600, 20, seed=3))
    assert not torch.equal(drawn, causal.random_tokens(model, 600, 20, seed=4))
    counts = torch.bincount(drawn.flatten(), minlength=30)
    assert len(counts) == 30 and ((counts - 400).abs() < 100).all()  # five standard deviations
    read = causal.activations(model, None, drawn[:5], tokens=7)
    assert torch.equal(read.tokens, drawn[:5, :7].flatten())
    with pytest.raises(ValueError, match="length at most 64"):
        causal.random_tokens(model, 1, 65)


def saved(folder, name="gpt2", **options):
    tiny(name, seed=5).save_pretrained(folder, **options)
    words().save_pretrained(folder)
    return str(folder)


def test_a_folder_and_its_untrained_twin(tmp_path):
    folder = saved(tmp_path)
    model, tokenizer = causal.load(folder)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), tiny("gpt2", 5).parameters(), strict=True))
    assert tokenizer("w3 w7").input_ids == [3, 7] and not model.training
    twins = [causal.load(folder, untrained_seed=seed)[0] for seed in (1, 1, 2)]
    weights = [twin.base_model.h[0].mlp.c_fc.weight for twin in twins]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], model.base_model.h[0].mlp.c_fc.weight)
    assert weights[0].std().item() == pytest.approx(0.02, rel=0.1)  # GPT-2's own initialisation


def test_old_torch_files_are_read_without_running_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    folder = saved(tmp_path)
    state = torch.load(_as_torch_file(tmp_path), weights_only=True)
    assert torch.equal(causal.load(folder)[0].base_model.wte.weight, tiny("gpt2", 5).base_model.wte.weight)
    torch.save({**state, "evil": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ParameterError) as raised:
        causal.load(folder)
    assert "\n" not in str(raised.value)


def _as_torch_file(folder):
    (folder / "model.safetensors").unlink()
    torch.save(tiny("gpt2", 5).state_dict(), folder / "pytorch_model.bin")
    return folder / "pytorch_model.bin"


@pytest.mark.parametrize("seed", [None, 0])
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, seed):
    (tmp_path / "config.json").write_text("{}")
    for name in (str(tmp_path), str(tmp_path / "nothing" / "here" / "at all"), "", " "):
        with pytest.raises(ParameterError) as raised:
            causal.load(name, untrained_seed=seed)
        assert "\n" not in str(raised.value)


# Texts


@pytest.fixture(scope="module")
def held_out():
    return causal.docstring_texts(held_out=True)


def test_held_out_texts_are_whole_paragraphs_of_prose(held_out):
    assert len(held_out) > 300 and len(set(held_out)) == len(held_out)
    assert all(len(text) >= causal.SHORTEST and text[0].isupper() and text.endswith(".") for text in held_out)
    assert not any(re.search(r"::|>>>|---|`|\n|  ", text) for text in held_out)


def test_docstrings_are_the_held_out_ones_shuffled_by_a_seed(held_out, monkeypatch):
    unseen = held_out
    monkeypatch.setattr(causal, "docstring_texts", lambda held_out: list(unseen) if held_out else [])
    found = causal.texts("docstrings", seed=1)
    assert sorted(found) == sorted(unseen) and found != unseen
    assert found == causal.texts("docstrings", seed=1) != causal.texts("docstrings", seed=2)


def package(root, files):
    for name, docstring in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'"""{docstring}"""\n')
    (root / "invented" / "__init__.py").touch()


def test_training_texts_and_held_out_texts_share_no_paragraph(tmp_path, monkeypatch):
    shared = "This sentence stands in the files of both sides of the split and must be unseen. " * 4
    own = "The file number {} has a long paragraph of its own that no other file has in it. "
    files = {f"invented/part{i}.py": f"{shared}\n\n{(own.format(i)) * 4}" for i in range(40)}
    package(tmp_path, files)
    monkeypatch.setattr(causal, "PACKAGES", ("invented",))
    monkeypatch.syspath_prepend(str(tmp_path))
    train, unseen = causal.docstring_texts(False), causal.docstring_texts(True)
    numbers = [{int(n) for text in side for n in re.findall(r"number (\d+)", text)} for side in (train, unseen)]
    assert numbers[0] | numbers[1] == set(range(40)) and not numbers[0] & numbers[1] and all(numbers)
    assert not any("both sides" in text for text in train)
    assert sum("both sides" in text for text in unseen) == 1  # once, though several files hold it


@pytest.mark.parametrize(
    ("paragraph", "plain"),
    [
        ("Compute the\n    `mean` of an array, as **all** do.", "Compute the mean of an array, as all do."),
        ("See :func:`numpy.mean` and :class:`~a.B` for the details.", "See numpy.mean and a.B for the details."),
        ("Read :ref:`the guide <guide>` before you begin to work.", "Read the guide before you begin to work."),
        ("Parameters\n----------\nx : array of any kind that there is.", ""),
        (">>> print the sum of the numbers below.", ""),
        ("no capital letter at the front of this one.", ""),
        ("No stop at the end of this one here", ""),
        ("Too short to be.", ""),
        ("The sum is 3 + 4 = 7 and 1 + 2 = 3 (12 / 3 = 4).", ""),
    ],
)
def test_paragraphs_become_plain_text(paragraph, plain):
    assert causal._plain(paragraph) == plain


def test_text_files(tmp_path):
    (tmp_path / "text").mkdir()
    file = tmp_path / "text" / "wikitext_1000.json"
    file.write_text(json.dumps([f"text {i}" for i in range(50)]))
    found = causal.texts("wikitext", str(tmp_path), seed=0)
    assert sorted(found) == sorted(f"text {i}" for i in range(50)) and found != [f"text {i}" for i in range(50)]
    for wrong in ("[", "{}", "[]", '["a", " "]', '["a", 1]'):
        file.write_text(wrong)
        with pytest.raises(ParameterError, match="is a list of texts that are not empty") as raised:
            causal.texts("wikitext", str(tmp_path))
        assert str(tmp_path) not in str(raised.value)
    with pytest.raises(ParameterError, match="text/tinystories_1000.json"):
        causal.texts("tinystories", str(tmp_path))
    with pytest.raises(ParameterError, match="data_root"):
        causal.texts("wikitext")
    with pytest.raises(ParameterError, match="dataset = 'novels': must be one of docstrings, tinystories, wikitext"):
        causal.texts("novels")


# Slopes


def test_layer_alphas_are_debiased_alphas_and_their_bootstrap():
    codes = {k: spectra.power_spectrum_codes(1920, 60, alpha, seed=k) for k, alpha in enumerate((-0.6, -1.4))}
    text_index = torch.arange(1920) // 24
    found = causal.layer_alphas(codes, text_index, seed=1, draws=6, window=(3, 20))
    again = causal.layer_alphas({1: codes[1]}, text_index, seed=1, draws=6, window=(3, 20))
    assert torch.equal(found[1].replicates, again[1].replicates)  # all layers see the same draws
    for layer, alpha in enumerate((-0.6, -1.4)):
        assert found[layer].value == spectra.debiased_alpha(codes[layer], (3, 20), seed=1)
        assert found[layer].value == pytest.approx(alpha, abs=0.1)
        assert found[layer].replicates.shape == (6,) and 0.001 < found[layer].replicates.std() < 0.1


def test_the_bootstrap_draws_whole_texts():
    # Two texts: a draw holds both or one of them twice, and never a part of one.
    steep, flat = (spectra.power_spectrum_codes(480, 30, alpha) for alpha in (-2.0, -0.2))
    acts, text_index = torch.cat([steep, 0.01 * flat]), torch.arange(960) // 480
    window = (2, 12)
    found = causal.layer_alphas({0: acts}, text_index, seed=0, draws=12, window=window)[0].replicates
    only = [
        spectra.debiased_alpha(torch.cat(rows), window, 0)
        for rows in ((steep, steep), (steep, 0.01 * flat), (0.01 * flat, steep), (0.01 * flat, 0.01 * flat))
    ]
    assert all(min(abs(value - known) for known in only) < 1e-6 for value in found.tolist())
    assert len({round(value, 6) for value in found.tolist()}) > 1
    with pytest.raises(ValueError, match="at least 2 texts"):
        causal.layer_alphas({0: steep}, torch.zeros(480))


# The model that comes with the book


@pytest.fixture(scope="module")
def shipped():
    return causal.load("docstrings")


def test_the_model_of_the_book_is_small(shipped):
    model, tokenizer = shipped
    assert model.config.num_hidden_layers == 6 and sum(p.numel() for p in model.parameters()) <= 1.5e6
    assert all(p.dtype == torch.float32 and torch.equal(p, p.half().float()) for p in model.parameters())
    files = list(causal.DOCSTRING_MODEL.iterdir())
    assert sum(file.stat().st_size for file in files) <= 3e6
    assert {file.suffix for file in files} == {".json", ".safetensors"}
    text = "Compute the mean of an array, π or \\u4e2d, 中."
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_the_model_of_the_book_reads_better_than_an_n_gram(shipped, held_out):
    """The n-gram's loss on these tokens, 2.99 nats, is printed by the script; a quarter of the texts stands for all
    here.
    """
    model, tokenizer = shipped
    tokens = language_model.stream(tokenizer.backend_tokenizer, held_out[::4])
    assert language_model.mean_loss(model, tokens) < 2.85
    twin, _ = causal.load("docstrings", untrained_seed=0)
    assert language_model.mean_loss(twin, tokens[:5000]) > 6.5


def test_the_model_of_the_book_reads_all_held_out_texts(shipped, held_out):
    read = causal.activations(*shipped, held_out[:8], tokens=32)
    assert len(read.layers) == 6 and all(values.isfinite().all() for values in read.layers.values())
    assert read.text_index.bincount().tolist() == [31] * 8  # the token that begins a text is not kept


# The training script


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(5, 200))
def test_n_gram_probabilities_add_up_to_one(seed, order, length):
    rng = np.random.default_rng(seed)
    train, past = rng.integers(0, 4, length), rng.integers(0, 5, 6)
    found = [language_model.n_gram_probabilities(train, np.append(past, token), 5, order)[-1] for token in range(5)]
    assert sum(found) == pytest.approx(1) and min(found) > 0


def test_kneser_ney_equals_the_definition():
    """Bigrams against Chen & Goodman 1999, eqs. 12 to 14, in loops."""
    rng = np.random.default_rng(0)
    train, tokens, vocabulary = (rng.pareto(0.8, 400) * 5).astype(int).clip(max=59), rng.integers(0, 60, 200), 60
    pairs = list(zip(train[:-1].tolist(), train[1:].tolist(), strict=True))

    def discounts(counts):
        n = [sum(c == k for c in counts) for k in (1, 2, 3, 4)]
        y = n[0] / (n[0] + 2 * n[1])
        raw = [1 - 2 * y * n[1] / n[0], 2 - 3 * y * n[2] / n[1], 3 - 4 * y * n[3] / n[2]]
        return lambda c: 0 if c == 0 else min(max(raw[min(c, 3) - 1], 0), min(c, 3))

    before = {w: len({a for a, b in pairs if b == w}) for w in range(vocabulary)}
    take = discounts([c for c in before.values() if c])
    total = sum(before.values())
    freed = sum(take(c) for c in before.values()) / total
    single = {w: (before[w] - take(before[w])) / total + freed / vocabulary for w in range(vocabulary)}
    counts = {pair: pairs.count(pair) for pair in set(pairs)}
    take = discounts(counts.values())
    found = language_model.n_gram_probabilities(train, tokens, vocabulary, 2)
    for place in range(1, 200):
        a, b = tokens[place - 1 : place + 1].tolist()
        after = {w: c for (x, w), c in counts.items() if x == a}
        if not after:
            assert found[place] == pytest.approx(single[b])
            continue
        mass = sum(take(c) for c in after.values()) / sum(after.values())
        top = max(after.get(b, 0) - take(after.get(b, 0)), 0) / sum(after.values())
        assert found[place] == pytest.approx(top + mass * single[b])


def test_runs_of_tokens_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="n = 7"):
        language_model.n_gram_losses(torch.arange(20), torch.arange(20), 1024, 7)


def test_training_lowers_the_loss_and_repeats(monkeypatch, tmp_path):
    for name, value in {"LAYERS": 2, "WIDTH": 16, "CONTEXT": 32, "VOCABULARY": 300, "WARM_UP": 5}.items():
        monkeypatch.setattr(language_model, name, value)
    sentences = ["The mean of an array is the sum over its size.", "The sum of an array is returned as a number."] * 60
    tokenizer = language_model.byte_pairs(sentences, 300)
    tokens = language_model.stream(tokenizer, sentences)
    assert tokens[0] == tokenizer.token_to_id(language_model.END) and (tokens == tokens[0]).sum() == len(sentences)
    networks = [language_model.network(0) for _ in range(2)]
    before = language_model.mean_loss(networks[0], tokens)
    for model in networks:
        language_model.fit(model, tokens, tokens, steps=30)
    found = language_model.mean_loss(networks[0], tokens)
    assert found < before - 1
    assert all(torch.equal(a, b) for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True))
    language_model.save(networks[0], tokenizer, tmp_path)
    loaded, read = causal.load(str(tmp_path))
    assert language_model.mean_loss(loaded, tokens) == pytest.approx(found, abs=0.02)
    assert read(sentences[0]).input_ids == tokenizer.encode(sentences[0]).ids


def test_the_loss_of_a_stream_is_that_of_second_halves_of_overlapping_blocks(monkeypatch):
    """Against the network's own logits, a block at a time; the rest that fills no block is left out."""
    model = tiny("llama")
    tokens = torch.randint(30, (100,), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(language_model, "CONTEXT", 16)
    found = language_model.mean_loss(model, tokens)
    losses = []
    for start in range(0, 84, 8):
        with torch.no_grad():
            chances = model(tokens[None, start : start + 16]).logits[0].log_softmax(-1)
        losses += [-chances[place, tokens[start + place + 1]].item() for place in range(8, 16)]
    assert len(losses) == 88
    assert found == pytest.approx(np.mean(losses), abs=1e-5)
