"""The small transformer and the small recurrent network: shapes, stages, seeds, and what their stages say."""

import numpy as np
import pytest
import torch

from innercodes import activations, data, models
from innercodes.parameters import ParameterError

STAGES = {"vit8": [f"blocks.{b}" for b in range(4)], "rows_lstm": ["layer1", "layer2", "layer3"]}
MAPS = {"vit8": (64, 4, 4), "rows_lstm": (64, 1, 8)}
FIRST = {"vit8": "patch_embed.proj.weight", "rows_lstm": "layer1.weight_ih_l0"}


def pictures_of(count, channels=1, seed=0):
    return torch.rand(count, channels, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(("outputs", "channels"), [(10, 1), (3, 2)])
def test_shapes_stages_and_maps(name, outputs, channels):
    network, pictures = models.load(name, 0, outputs=outputs, channels=channels), pictures_of(5, channels)
    stages = activations.stages(network)
    assert stages == STAGES[name]
    batches = pictures.split(2)
    maps = activations.collect(network, batches, [*stages, "output"], lambda maps: maps)
    with torch.no_grad():
        torch.testing.assert_close(maps.pop("output"), network(pictures))
    assert {tuple(found.shape) for found in maps.values()} == {(5, *MAPS[name])}
    codes = activations.collect(network, batches, stages, activations.vector_codes)
    for stage in stages:
        assert codes[stage].isfinite().all()
        torch.testing.assert_close(codes[stage], activations.vector_codes(maps[stage]))
    assert activations.collect(network, batches, ["output"], lambda maps: maps)["output"].shape == (5, outputs)


@pytest.mark.parametrize("name", STAGES)
def test_weights_follow_from_the_seed_and_reach_down_to_the_pictures(name):
    first, same, other = (dict(models.load(name, seed).named_parameters()) for seed in (0, 0, 1))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not torch.equal(first[FIRST[name]], other[FIRST[name]])
    network = models.load(name, 0)
    torch.nn.functional.cross_entropy(network(pictures_of(8)), torch.arange(8)).backward()
    gradients = {key: p.grad for key, p in network.named_parameters()}
    assert all(grad is not None and grad.isfinite().all() for grad in gradients.values())
    assert gradients[FIRST[name]].abs().max() > 1e-4


def test_the_lstm_against_its_equations():
    """Hochreiter & Schmidhuber 1997 with a forget gate, one row and one layer at a time, gates in the order i, f, g, o."""
    network = models.load("rows_lstm", 0, channels=2, hidden=7).double()
    pictures = pictures_of(3, 2).double()
    rows = [torch.stack([pictures[b, :, r].flatten() for b in range(3)]) for r in range(8)]
    for name in STAGES["rows_lstm"]:
        layer = network.get_submodule(name)
        hidden, cell, said = torch.zeros(3, 7).double(), torch.zeros(3, 7).double(), []
        for row in rows:
            gates = row @ layer.weight_ih_l0.T + layer.bias_ih_l0 + hidden @ layer.weight_hh_l0.T + layer.bias_hh_l0
            i, f, g, o = gates.chunk(4, -1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            said.append(hidden)
        rows = said
    torch.testing.assert_close(network(pictures), rows[-1] @ network.linear.weight.T + network.linear.bias)


def test_the_lstm_reads_rows_from_the_top():
    """Row t of the sequence depends on rows 0 ... t of the picture and on no later one."""
    network, pictures = models.load("rows_lstm", 0), pictures_of(2)
    changed = pictures.clone()
    changed[:, :, 5:] = 1 - changed[:, :, 5:]
    before, after = (activations.collect(network, [x], ["layer3"], lambda m: m)["layer3"] for x in (pictures, changed))
    differs = (before != after).any(1)[:, 0]
    assert differs.tolist() == [[False] * 5 + [True] * 3] * 2


def test_the_transformer_is_timms_and_starts_as_xavier_does():
    network = models.load("vit8", 0)
    assert network.pos_embed.shape == (1, 17, 64) and len(network.blocks) == 4 and network.num_prefix_tokens == 1
    assert {block.attn.num_heads for block in network.blocks} == {4}
    for block in network.blocks:
        limits = {
            block.attn.qkv: np.sqrt(6 / (64 + 64)),  # three maps in one
            block.attn.proj: np.sqrt(6 / (64 + 64)),
            block.mlp.fc1: np.sqrt(6 / (64 + 128)),
            block.mlp.fc2: np.sqrt(6 / (64 + 128)),
        }
        for linear, limit in limits.items():
            assert 0.99 * limit < linear.weight.abs().max() <= limit * (1 + 1e-6)


def test_the_lstm_learns_the_digits():
    train, test = data.load("digits", "train"), data.load("digits", "test")
    network = models.train(models.load("rows_lstm", 0), train.inputs, train.labels, 15, 0.5, 0, batch_size=16)
    assert models.accuracy(network, test.inputs, test.labels) > 0.9


@pytest.mark.parametrize("name", STAGES)
def test_the_refusal_of_an_unknown_name_lists_them(name):
    with pytest.raises(ParameterError, match=f"^model = .*{name}"):
        models.load("unknown", 0)
