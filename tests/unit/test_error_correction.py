"""The correcting network against a plain statement, the read-out against scikit-learn, MINE against Gaussians."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from innercodes import error_correction


def test_network_against_numpy_without_and_with_dropout():
    net = error_correction.CorrectingNet(9, 5, seed=1)
    x = torch.rand(7, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows = x.numpy()
    states = [state.detach().numpy() for state in net.states(x)]
    assert len(states) == 9
    for layer, state in zip(net.layers[:-1], states, strict=True):
        rows = np.tanh(rows @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())
        assert np.allclose(rows, state, atol=1e-6)
    out = rows @ net.layers[-1].weight.detach().numpy().T + net.layers[-1].bias.detach().numpy()
    assert np.allclose(net(x).detach().numpy(), out, atol=1e-6)
    noisy = net.states(x, 0.5, torch.Generator().manual_seed(2))
    assert [bool((state == 0).any()) for state in noisy] == [False, False, False, True] * 2 + [False]
    kept = noisy[3] != 0
    # What is left is as it was: nothing is scaled up.
    torch.testing.assert_close(noisy[3][kept], net.states(x)[3][kept])


def test_dropout_has_its_rate_and_does_not_ask_for_training_mode():
    net = error_correction.CorrectingNet(4, 64).eval()
    x = torch.rand(500, 3, generator=torch.Generator().manual_seed(0))
    zeros = (net.states(x, 0.3, torch.Generator().manual_seed(1))[3] == 0).double().mean()
    assert float(zeros) == pytest.approx(0.3, abs=0.01)


def test_weights_start_as_in_keras():
    layer = error_correction.CorrectingNet(4, 200).layers[1]
    bound = math.sqrt(6 / 400)
    assert float(layer.weight.detach().abs().max()) <= bound
    assert float(layer.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert not layer.bias.any()


def test_training_lowers_the_loss_and_is_repeatable():
    first, second = (error_correction.train(5, 0.2, 3, 300, 64, 3e-3, 16) for _ in range(2))
    assert torch.equal(first.losses, second.losses)
    assert all(torch.equal(a, b) for a, b in zip(first.net.parameters(), second.net.parameters(), strict=True))
    assert float(first.losses[-30:].mean()) < 0.5 * float(first.losses[:5].mean()) < 1
    # The three arms start from the same weights and see the same inputs.
    without, untrained = (
        error_correction.train(5, rate, 3, steps, 64, 3e-3, 16) for rate, steps in ((0.0, 1), (0.2, 0))
    )
    assert untrained.losses.shape == (0,)
    start = error_correction.CorrectingNet(5, 16, 3)
    assert all(torch.equal(a, b) for a, b in zip(untrained.net.parameters(), start.parameters(), strict=True))
    x = torch.rand(64, 3, generator=torch.Generator().manual_seed(6)) * 2 - 1
    assert float(without.losses[0]) == pytest.approx(float((start(x) - x).detach().square().mean()))
    assert float(without.losses[0]) != pytest.approx(float(first.losses[0]))


def test_read_out_against_scikit_learn():
    net = error_correction.CorrectingNet(6, 12)
    found = error_correction.readable(net, 0.4, 2000, seed=5)
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(2000, 3, generator=generator) * 2 - 1
    with torch.no_grad():
        states = net.states(x, 0.4, generator)
    for value, state in zip(found, states, strict=True):
        fit = LinearRegression().fit(state[:1000].double().numpy(), x[:1000].double().numpy())
        scores = [r2_score(x[1000:, i].numpy(), fit.predict(state[1000:].double().numpy())[:, i]) for i in range(3)]
        assert float(value) == pytest.approx(np.mean(scores), abs=1e-6)
    assert float(found[0]) > 0.9 and (found[3:] < found[2]).all()
    clean = error_correction.readable(net, 0.0, 2000, seed=5)
    assert (clean[3:] > found[3:]).all()


def test_mutual_information_of_correlated_gaussians():
    generator = torch.Generator().manual_seed(0)
    rho = torch.tensor([0.9, 0.5])
    x, noise = (torch.randn(12_000, 2, generator=generator) for _ in range(2))
    z = rho * x + (1 - rho**2).sqrt() * noise
    truth = float(-0.5 * torch.log(1 - rho**2).sum())
    settings = {
        "validation": 4000,
        "epochs": (10, 4),
        "learning_rates": (2e-3, 2e-4),
        "batch_sizes": (500, 1000),
        "last": 4,
    }
    found = error_correction.mine(x, z, **settings)
    assert found == pytest.approx(truth, abs=0.1)
    assert found == error_correction.mine(x, z, **settings)
    # Scale and shift carry no information, and independent numbers none at all.
    assert error_correction.mine(x, 1000 * z - 7, **settings) == pytest.approx(found, abs=1e-2)
    assert abs(error_correction.mine(x, noise, **settings)) < 0.05


def test_mutual_information_of_a_layer_falls_with_dropout():
    net = error_correction.CorrectingNet(4, 16)
    clean, noisy = (error_correction.mutual_information(net, 4, rate, 4096, 1024, (40, 10)) for rate in (0.0, 0.6))
    assert clean > noisy > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: error_correction.CorrectingNet(0), "depth = 0: must be at least 1"),
        (lambda: error_correction.CorrectingNet(4, 0), "width = 0: must be at least 1"),
        (lambda: error_correction.train(4, 1.0), "rate = 1.0: must be from 0 to below 1"),
        (lambda: error_correction.train(4, steps=-1), "steps = -1: must be at least 0"),
        (lambda: error_correction.train(4, batch_size=0), "batch_size = 0: must be at least 1"),
        (
            lambda: error_correction.readable(error_correction.CorrectingNet(4), 0.2, 100),
            "samples = 100: must be at least 128",
        ),
        (lambda: error_correction.readable(error_correction.CorrectingNet(4), -0.2), "rate = -0.2: must be"),
        (
            lambda: error_correction.mutual_information(error_correction.CorrectingNet(4), 5, 0.2),
            "layer = 5: must be from 1 to 4",
        ),
        (lambda: error_correction.mine(torch.ones(5, 1), torch.ones(4, 1), 2), r"x, z: shapes \(5, 1\) and \(4, 1\)"),
        (lambda: error_correction.mine(torch.ones(5, 1), torch.ones(5, 1), 5), "x, z: .* N above validation = 5"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
