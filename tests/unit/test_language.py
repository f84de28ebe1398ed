"""The LSTM, and causal language models with a learned embedding for masked words."""

import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, OPTConfig, PreTrainedTokenizerFast

from innercodes import language, text
from innercodes.interactions import log_odds
from innercodes.language import MASKED, NO_TOKEN
from innercodes.parameters import ParameterError

TINY = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 30}
CONFIGS = {
    "llama": LlamaConfig(**TINY, intermediate_size=32, num_key_value_heads=1, max_position_embeddings=64),
    "opt": OPTConfig(**TINY, ffn_dim=32, word_embed_proj_dim=16, max_position_embeddings=64, pad_token_id=1),
    "gpt2": GPT2Config(n_embd=16, n_head=2, n_layer=2, vocab_size=30, n_positions=64, bos_token_id=0, eos_token_id=0),
}


def tiny(name="llama", seed=0):
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(CONFIGS[name])


def prompts(samples=3, length=12, n=5):
    """A game of random tokens in which players hold one or two tokens each."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, 30, (samples, length), generator=generator)
    tokens[0, :2] = NO_TOKEN
    owners = torch.tensor([-1, -1, -1, 0, 0, 1, -1, 2, 3, 3, 4, -1]).repeat(samples, 1)
    mask = text.WordMask(tokens, owners, (2,) + (0,) * (samples - 1), MASKED, (), ())
    return text.Game(None, tokens, None, n, mask)


def test_an_lstm_reads_a_masked_word_as_a_time_step_of_zeros():
    torch.manual_seed(0)
    network = language.lstm(vocabulary=20, outputs=3, embedding=8, hidden=6).eval()
    words = torch.randint(1, 20, (4, 10))
    assert network(words).shape == (4, 3)
    masked = words.clone()
    masked[:, 4] = 0
    # The same two layers, from vectors instead of ids.
    vectors = network.embedding.weight[words]
    vectors[:, 4] = 0
    states, _ = network.lstm(vectors)
    assert torch.allclose(network(masked), network.head(states[:, -1]))
    assert not torch.allclose(network(masked), network(words))
    assert len(list(network.lstm.all_weights)) == 2


def test_the_padding_of_an_lstm_stays_zero_in_training():
    network = language.lstm(20, 2)
    optimizer = torch.optim.SGD(network.parameters(), 1.0, momentum=0.9, weight_decay=5e-4)
    words = torch.randint(0, 20, (64, 10))
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(words), words[:, -1] % 2).backward()
        optimizer.step()
    assert (network.embedding.weight[0] == 0).all() and (network.embedding.weight[1] != 0).any()


@pytest.mark.parametrize("name", CONFIGS)
def test_an_unmasked_prompt_goes_through_the_plain_network(name):
    network = language.CausalLM(tiny(name))
    tokens = torch.randint(2, 30, (5, 12))
    with torch.no_grad():
        plain = network.model(input_ids=tokens).logits[:, -1]
    assert torch.allclose(network(tokens), plain, atol=1e-6)
    assert network.positions == 64 and not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("name", CONFIGS)
def test_a_masked_token_has_the_mask_embedding(name):
    network = language.CausalLM(tiny(name))
    table = network.model.get_input_embeddings().weight
    assert torch.allclose(network.mask_embedding, table.mean(0))
    # Masking a token by the embedding of token 9 is writing token 9.
    network.mask_embedding.copy_(table[9])
    tokens = torch.randint(10, 30, (5, 12))
    masked, written = tokens.clone(), tokens.clone()
    masked[:, [3, 7]], written[:, [3, 7]] = MASKED, 9
    assert torch.allclose(network(masked), network(written), atol=1e-6)
    assert not torch.allclose(network(masked), network(tokens), atol=1e-3)


def test_padding_is_not_read_as_a_token():
    with pytest.raises(ValueError, match="padding"):
        language.CausalLM(tiny())(prompts().inputs)


def test_triples_are_disjoint_and_of_the_stated_sizes():
    n, draws = 10, 6000
    masks = language.draw_triples(n, draws, torch.Generator().manual_seed(0))
    assert masks.shape == (draws, 4, n) and masks.dtype == torch.bool
    union, one_three, two_three, three = masks.unbind(1)
    first, second = one_three & ~three, two_three & ~three
    assert torch.equal(union, first | second | three) and not (first & second).any() and not (three & ~union).any()
    for part in (first, second):
        sizes = part.sum(-1).bincount(minlength=4) / draws
        assert sizes[0] == 0 and torch.allclose(sizes[1:], torch.tensor(1 / 3), atol=0.03) and len(sizes) == 4
        assert float((part.double().mean(0) - 0.2).abs().max()) < 0.03
    # All others with probability 1/3, else fewer.
    assert float(union.all(-1).double().mean()) == pytest.approx(1 / 3, abs=0.03)
    assert int(three.sum(-1).min()) == 0 and int(three.sum(-1).max()) == 8
    small = language.draw_triples(2, 50, torch.Generator().manual_seed(0))
    assert (small[:, 1:3].sum(-1) == 1).all() and not small[:, 3].any()
    with pytest.raises(ValueError, match="n = 1"):
        language.draw_triples(1, 5, torch.Generator())


def test_the_loss_is_the_interaction_of_the_two_sets():
    network, game = language.CausalLM(tiny()), prompts()
    expected = []
    generator = torch.Generator().manual_seed(3)
    for sample, start in zip(range(3), (2, 0, 0), strict=True):
        answer = network(game.inputs[sample, start:][None]).argmax(-1)
        values = []
        for mask in language.draw_triples(5, 4, generator).flatten(0, 1):
            row = [
                MASKED if owner >= 0 and not mask[owner] else token
                for owner, token in zip(game.masked.owners[sample].tolist(), game.inputs[sample].tolist(), strict=True)
            ]
            values.append(log_odds(network(torch.tensor([row[start:]])), answer))
        v = torch.cat(values).view(4, 4)
        expected.append((v[:, 0] - v[:, 1] - v[:, 2] + v[:, 3]).abs().mean())
    assert language.mask_loss(network, game, draws=4, seed=3) == pytest.approx(
        float(torch.stack(expected).mean()), rel=1e-4
    )


def test_learning_lowers_the_loss_and_changes_the_mask_embedding_alone():
    game = prompts()
    # Wider than transformers' initialisation, so that words interact at all.
    network = language.CausalLM(tiny())
    for parameter in network.model.parameters():
        parameter.mul_(8) if parameter.ndim > 1 else None
    before = {name: value.clone() for name, value in network.state_dict().items()}
    start = language.mask_loss(network, game, draws=100, seed=9)
    losses = language.learn_mask_embedding(network, game, passes=40, seed=0, draws=20, learning_rate=0.01)
    assert len(losses) == 40
    assert language.mask_loss(network, game, draws=100, seed=9) < 0.9 * start
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["mask_embedding"] and not network.mask_embedding.requires_grad


def test_the_same_seed_learns_the_same_embedding():
    def learn(seed):
        network = language.CausalLM(tiny())
        return language.learn_mask_embedding(network, prompts(), 3, seed), network.mask_embedding

    (first, one), (again, two), (other, three) = learn(0), learn(0), learn(1)
    assert first == again and torch.equal(one, two)
    assert first != other and not torch.equal(one, three)


@pytest.fixture()
def folder(tmp_path):
    """A folder with a tiny network and a tokenizer of 30 words, as transformers writes it."""
    words = {word: i for i, word in enumerate(["<unk>", *(f"w{i}" for i in range(29))])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(tmp_path)
    tiny().save_pretrained(tmp_path)
    return tmp_path


def test_a_network_is_loaded_from_a_folder_or_a_file_in_it(folder):
    network, tokenizer = language.load("transformers/tiny", str(folder))
    same, _ = language.load("transformers/tiny", str(folder / "model.safetensors"))
    tokens = torch.tensor([tokenizer("w3 w5 w1").input_ids])
    assert tokens.tolist() == [[4, 6, 2]]
    with torch.no_grad():
        assert torch.equal(network(tokens), same(tokens))
        assert torch.allclose(network(tokens), tiny().eval()(input_ids=tokens).logits[:, -1], atol=1e-6)


def test_the_untrained_twin_has_the_same_form_and_weights_of_its_seed(folder):
    network, _ = language.load("transformers/tiny", str(folder))
    twin, again, other = (language.untrained("transformers/tiny", str(folder), seed) for seed in (5, 5, 6))
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    assert {name: value.shape for name, value in twin.state_dict().items()} == shapes
    tokens = torch.randint(2, 30, (2, 8))
    assert torch.equal(twin(tokens), again(tokens)) and not torch.equal(twin(tokens), other(tokens))


def test_networks_that_cannot_be_loaded_are_refused(folder, monkeypatch):
    for model, weights, name in [
        ("lstm", "", "model"),
        ("transformers/", "", "model"),
        ("transformers/tiny", str(folder.parent / "nowhere"), "weights"),
    ]:
        with pytest.raises(ParameterError, match=f"^{name} = "):
            language.load(model, weights)
        with pytest.raises(ParameterError, match=f"^{name} = "):
            language.untrained(model, weights)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: 1 / 0)
    with pytest.raises(ParameterError, match="^weights = .*division by zero"):
        language.load("transformers/tiny", str(folder))


def test_weights_that_are_not_whole_are_refused(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ParameterError, match="^weights = .*up_proj"):
        language.load("transformers/tiny", str(folder))
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ParameterError, match="^weights = "):
        language.load("transformers/tiny", str(folder))
