"""The attack stays in its box and raises the loss; its control has the same norm."""

import pytest
import torch

from innercodes import attacks, models


@pytest.fixture
def network():
    torch.manual_seed(0)
    return models.mlp5()


@pytest.mark.parametrize(("low", "high"), [(-torch.inf, torch.inf), (-1.0, 1.0)])
def test_pgd_stays_in_the_box_and_raises_the_loss(network, low, high):
    inputs = torch.randint(-1, 2, (20, 9), generator=torch.Generator().manual_seed(1)).float()
    labels = network(inputs).argmax(-1)
    hit = attacks.pgd(network, inputs, labels, 0.3, 20, 0, low, high)
    assert float((hit - inputs).abs().max()) <= 0.3 + 1e-6 and low <= float(hit.min()) and float(hit.max()) <= high
    loss = torch.nn.functional.cross_entropy
    with torch.no_grad():
        assert float(loss(network(hit), labels)) > float(loss(network(inputs), labels))
    assert torch.equal(hit, attacks.pgd(network, inputs, labels, 0.3, 20, 0, low, high))
    assert not torch.equal(hit, attacks.pgd(network, inputs, labels, 0.3, 20, 1, low, high))


def test_pgd_finds_the_corner_of_a_linear_network():
    linear = torch.nn.Linear(4, 2)
    inputs, labels = torch.zeros(3, 4), torch.tensor([0, 1, 0])
    direction = linear.weight[1] - linear.weight[0]
    expected = torch.stack([direction.sign() * (1 if y == 0 else -1) for y in labels]) * 0.1
    torch.testing.assert_close(attacks.pgd(linear, inputs, labels, 0.1, 50, 0), expected)


@pytest.mark.parametrize(("low", "high"), [(-torch.inf, torch.inf), (0.0, 1.0)])
def test_the_control_has_the_norm_of_the_attack(low, high):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(10, 1, 6, 6, generator=generator)
    hit = (inputs + 0.1 * torch.randn(inputs.shape, generator=generator)).clamp(low, high)
    noisy = attacks.equal_noise(inputs, hit, 3, low, high)
    norms = [(x - inputs).flatten(1).norm(dim=1) for x in (hit, noisy)]
    torch.testing.assert_close(*norms, rtol=2e-3, atol=0)
    assert low <= float(noisy.min()) and float(noisy.max()) <= high
    assert torch.equal(attacks.equal_noise(inputs, inputs, 3), inputs)
