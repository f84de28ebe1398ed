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


def test_steps_of_a_given_length_walk_so_far_and_no_further(network):
    inputs = torch.rand(6, 9, generator=torch.Generator().manual_seed(1))
    labels = network(inputs).argmax(-1)
    start = attacks.pgd(network, inputs, labels, 0.2, 1, 0, step=0.0)
    near = attacks.pgd(network, inputs, labels, 0.2, 10, 0, step=0.001)
    assert 0 < float((near - start).abs().max()) <= 0.01 + 1e-6
    expected = torch.rand(inputs.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(start, inputs + 0.2 * (2 * expected - 1))


def test_any_objective_can_be_climbed():
    inputs = torch.zeros(2, 3)
    away = attacks.ascend(lambda x: (x * torch.tensor([1.0, -1.0, 2.0])).sum(), inputs, 0.1, 30, 0)
    torch.testing.assert_close(away, torch.tensor([0.1, -0.1, 0.1]).expand(2, 3))


def test_uniform_noise_fills_its_range_and_keeps_pixels_in_theirs():
    inputs = torch.full((4, 1000), 0.5)
    added = attacks.uniform_noise(inputs, 0.2, 0) - inputs
    assert 0 <= float(added.min()) < 0.001 and 0.199 < float(added.max()) <= 0.2 + 1e-6
    assert abs(float(added.mean()) - 0.1) < 0.005
    assert float(attacks.uniform_noise(torch.full((4, 10), 0.9), 0.2, 0, 0, 1).max()) <= 1
    assert torch.equal(attacks.uniform_noise(inputs, 0.2, 5), attacks.uniform_noise(inputs, 0.2, 5))


def test_pgd_is_as_strong_as_the_adversarial_robustness_toolbox(network):
    art = pytest.importorskip("art.attacks.evasion")
    estimators = pytest.importorskip("art.estimators.classification")
    inputs = torch.rand(40, 9, generator=torch.Generator().manual_seed(2))
    labels = network(inputs).argmax(-1)
    classifier = estimators.PyTorchClassifier(network, torch.nn.CrossEntropyLoss(), (9,), 2, clip_values=(0.0, 1.0))
    theirs = art.ProjectedGradientDescent(
        classifier, eps=0.2, eps_step=0.01, max_iter=40, num_random_init=1, verbose=False
    ).generate(inputs.numpy(), labels.numpy())
    ours = attacks.pgd(network, inputs, labels, 0.2, 40, 0, 0, 1, step=0.01)
    with torch.no_grad():
        loss = [float(torch.nn.functional.cross_entropy(network(x), labels)) for x in (ours, torch.tensor(theirs))]
    assert loss[0] == pytest.approx(loss[1], rel=0.01)
