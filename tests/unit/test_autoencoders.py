"""The autoencoder against the paper's description, its loss against two other statements, training, and the shipped networks."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from innercodes import activations, autoencoders, models, scenes
from innercodes.parameters import ParameterError

WIDTH, SIZE = 8, 32


def draws(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def small():
    return autoencoders.load(WIDTH, 0.4, seed=0, size=SIZE)


@pytest.fixture(scope="module")
def pictures():
    return scenes.load(120, 60, seed=5, size=SIZE)[0].pictures.tensors()[0]


@pytest.mark.parametrize("size", [32, 64, 224])
@pytest.mark.parametrize("training", [True, False])
def test_shapes(size, training):
    model = autoencoders.load(WIDTH, 0.2, seed=0, size=size).train(training)
    x = draws(2, 3, size, size)
    with torch.no_grad():
        reconstruction, mu, logvar = model(x)
    assert reconstruction.shape == x.shape and mu.shape == logvar.shape == (2, 4 * WIDTH)
    assert float(reconstruction.min()) >= 0 and float(reconstruction.max()) <= 1
    assert model.decode(mu).shape == x.shape and model.decode(mu, (20, 30)).shape == (2, 3, 20, 30)


def test_the_papers_sizes_at_width_64():
    model = autoencoders.Autoencoder(64)
    shapes = {
        name: tuple(module.weight.shape)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.ConvTranspose2d)
    }
    assert list(shapes.values()) == [
        (1024, 512), (1024, 1024), (256, 1024), (256, 1024), (1024, 256), (1024, 1024),
        (64, 32, 3, 3), (32, 8, 3, 3), (8, 3, 3, 3),
    ]  # fmt: skip
    assert [m.stride for m in model.decoder if isinstance(m, nn.ConvTranspose2d)] == [(2, 2)] * 3
    assert all(
        m.momentum == 0.01 for part in (model.hidden, model.decoder) for m in part if "BatchNorm" in str(type(m))
    )
    assert (
        sum(p.numel() for p in model.encoder.parameters()) == 11_176_512
    )  # resnet18's 11,689,512 without its classifier
    assert isinstance(model.decoder[-1], nn.Sigmoid)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_weights_of_a_resnet18_fill_the_encoder_at_width_64(library, tmp_path):
    import timm  # after the repair in _compat
    import torchvision

    torch.manual_seed(1)
    network = torchvision.models.resnet18() if library == "torchvision" else timm.create_model("resnet18")
    network.eval()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.running_mean, -0.1, 0.1)
    file = tmp_path / "resnet18.safetensors"
    save_file(network.state_dict(), file)
    model = autoencoders.load(64, 0.2, seed=0, pretrained=str(file))
    x = draws(2, 3, 64, 64)
    with torch.no_grad():
        network.fc = nn.Identity()
        torch.testing.assert_close(model.encoder(x), network(x))
        fresh = autoencoders.load(64, 0.2, seed=0)
        assert (fresh.encoder(x) - network(x)).abs().max() > 0.1
    assert torch.equal(fresh.mu.weight, model.mu.weight)
    own = {key: value.shape for key, value in model.encoder.state_dict().items()}
    assert own == {key: value.shape for key, value in load_file(file).items() if not key.startswith("fc.")}


def test_taps_are_all_relus_of_the_encoder_in_order_each_once(small):
    names = autoencoders.layers(small)
    ran, outputs = [], {}

    def note(name):
        def hook(module, inputs, out):
            ran.append(name)
            outputs[name] = tuple(out.shape)
            assert float(out.min()) == 0

        return hook

    hooks = [m.register_forward_hook(note(n)) for n, m in small.named_modules() if isinstance(m, nn.ReLU)]
    with torch.no_grad():
        small.encode(draws(3, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    assert ran == names and len(names) == len(set(names)) == 19
    expected = [(3, WIDTH, 32, 32)]
    for stage in range(4):
        expected += [(3, WIDTH * 2**stage, 16 >> stage, 16 >> stage)] * 4
    assert list(outputs.values()) == expected + [(3, 16 * WIDTH)] * 2


def test_taps_work_with_collect(small, pictures):
    names = autoencoders.layers(small)
    found = activations.collect(small, pictures.split(50), names, lambda maps: maps.flatten(1))
    with torch.no_grad():
        x = small.encoder.act1[0](small.encoder.bn1(small.encoder.conv1(pictures)))
        last = small.hidden(small.encoder(pictures))
    torch.testing.assert_close(found[names[0]], x.flatten(1))
    torch.testing.assert_close(found[names[-1]], last)
    assert all(values.shape[0] == len(pictures) for values in found.values())


def test_dropout_follows_every_relu_of_the_resnet_and_no_other(small):
    names = autoencoders.layers(small)
    drops = [name for name, module in small.named_modules() if isinstance(module, nn.Dropout)]
    assert drops == [name[:-1] + "1" for name in names[:17]]
    assert all(small.get_submodule(name).p == 0.4 for name in drops)
    before, after = {}, {}

    def note(into, name):
        def hook(module, inputs, out):
            into[name] = out.clone()

        return hook

    hooks = []
    for name in names[:17]:
        hooks.append(small.get_submodule(name).register_forward_hook(note(before, name)))
        hooks.append(small.get_submodule(name.rsplit(".", 1)[0]).register_forward_hook(note(after, name)))
    x = draws(16, 3, 64, 64)
    small.train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small.encoder(x)
    for hook in hooks:
        hook.remove()
    small.eval()
    for name in names[:17]:
        positive = before[name] > 0
        kept = after[name][positive] != 0
        assert 0.5 < float(kept.float().mean()) < 0.7, name
        torch.testing.assert_close(after[name][positive][kept], before[name][positive][kept] / 0.6)
        assert not after[name][~positive].any()


def test_evaluation_has_no_chance_and_the_code_is_mu(small):
    x = draws(4, 3, SIZE, SIZE)
    with torch.no_grad():
        first, second = small(x), small(x)
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert torch.equal(first[0], small.decode(first[1]))


def test_in_training_the_code_is_drawn_as_mu_and_logvar_say():
    model = autoencoders.load(WIDTH, 0.0, seed=0, size=SIZE)
    nn.init.normal_(model.logvar.bias, -2, 1, generator=torch.Generator().manual_seed(0))
    codes = []
    model.decoder.register_forward_pre_hook(lambda module, inputs: codes.append(inputs[0].clone()))
    model.training = True  # of the whole alone: its BatchNorm layers evaluate, so that alike inputs have alike mu
    x = draws(1, 3, SIZE, SIZE)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        mu, logvar = model.encode(x)
        torch.manual_seed(0)
        model(x.expand(2000, -1, -1, -1))
    torch.testing.assert_close(codes[0].mean(0), mu[0], atol=0.15, rtol=0)
    assert float((codes[0].std(0) / (logvar[0] / 2).exp()).log().abs().max()) < 0.1


@pytest.mark.parametrize("kind", autoencoders.KINDS)
def test_loss_against_numpy_and_distributions(kind):
    reconstruction, x = draws(5, 3, 6, 6).double(), draws(5, 3, 6, 6, seed=1).double()
    mu, logvar = 3 * draws(5, 7, seed=2).double() - 1, 4 * draws(5, 7, seed=3).double() - 2
    found = float(autoencoders.loss(reconstruction, x, mu, logvar, kind))
    r, y, m, v = (t.numpy() for t in (reconstruction, x, mu, logvar))
    error = -(y * np.log(r) + (1 - y) * np.log(1 - r)) if kind == "bce" else (y - r) ** 2
    expected = [error[i].sum() - 0.5 * (1 + v[i] - m[i] ** 2 - np.exp(v[i])).sum() for i in range(5)]
    assert found == pytest.approx(np.mean(expected), rel=1e-12)
    divergence = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(-1)
    if kind == "bce":
        fit = -Bernoulli(reconstruction, validate_args=False).log_prob(x)
    else:
        fit = (x - reconstruction).square()
    assert found == pytest.approx(float((fit.flatten(1).sum(-1) + divergence).mean()), rel=1e-12)
    none = torch.zeros(5, 7).double()
    assert float(autoencoders.loss(x, x, none, none, "mse")) == 0


def weights(model):
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


@pytest.mark.parametrize("kind", autoencoders.KINDS)
def test_training_lowers_the_loss_and_leaves_chance_as_it_was(kind, pictures):
    model = autoencoders.load(WIDTH, 0.2, seed=0, size=SIZE)
    before = autoencoders.mean_loss(autoencoders.untrained(WIDTH, 0.2, 0, pictures), pictures, kind)
    state = torch.random.get_rng_state()
    modes = []

    def watch(epoch):
        modes.append((epoch, model.training))

    losses = autoencoders.train(model, pictures, 8, seed=1, kind=kind, watch=watch)
    assert torch.equal(state, torch.random.get_rng_state())
    assert modes == [(epoch, False) for epoch in range(8)] and not model.training
    assert len(losses) == 8 and losses[-1] < 0.97 * losses[0]
    assert autoencoders.mean_loss(model, pictures, kind) < before


def test_same_seed_same_weights(pictures):
    found = []
    for seed, start in ((0, 0), (0, 0), (1, 0), (0, 1)):
        torch.manual_seed(len(found))  # nothing but the seed counts
        model = autoencoders.load(WIDTH, 0.4, seed=start, size=SIZE)
        losses = autoencoders.train(model, pictures[:51], 1, batch_size=25, seed=seed)  # a last batch of one
        found.append((weights(model), losses))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]
    for one, other in itertools.combinations(found[1:], 2):
        assert not torch.allclose(one[0], other[0], atol=1e-4)


def test_reported_losses_are_means_over_pictures(pictures, monkeypatch):
    model = autoencoders.load(WIDTH, 0.0, seed=0, size=SIZE)
    seen = []
    plain = autoencoders.loss

    def noted(reconstruction, x, *rest):
        value = plain(reconstruction, x, *rest)
        seen.append((float(value.detach()), x.clone()))
        return value

    monkeypatch.setattr(autoencoders, "loss", noted)
    losses = autoencoders.train(model, pictures[:70], 2, batch_size=40)
    assert [len(x) for _, x in seen] == [40, 30, 40, 30]
    for epoch in range(2):
        (a, x), (b, y) = seen[2 * epoch : 2 * epoch + 2]
        assert losses[epoch] == pytest.approx((40 * a + 30 * b) / 70)
        sums = torch.cat([x, y]).double().sum((1, 2, 3)).sort().values
        assert torch.equal(sums, pictures[:70].double().sum((1, 2, 3)).sort().values)  # each picture once
    assert not torch.equal(seen[0][1], seen[2][1])


def test_mean_losses(small, pictures):
    with torch.no_grad():
        mu, logvar = small.encode(pictures)
        whole = float(autoencoders.loss(small.decode(mu), pictures, mu, logvar))
    assert autoencoders.mean_loss(small, pictures, chunk=7) == pytest.approx(whole, rel=1e-5)
    fitted, others = pictures[:80], pictures[80:]
    mean, x = fitted.double().numpy().mean(0), others.double().numpy()
    expected = {"bce": -(x * np.log(mean) + (1 - x) * np.log(1 - mean)), "mse": (x - mean) ** 2}
    for kind, values in expected.items():
        assert autoencoders.mean_picture_loss(fitted, others, kind, chunk=9) == pytest.approx(
            values.sum() / len(x), rel=1e-5
        )
        # Of all pictures that could be predicted, the mean is the best for those it is the mean of.
        best = autoencoders.mean_picture_loss(fitted, fitted, kind)
        for other in ((fitted + 0.05).clamp(max=1), fitted**1.2, others):
            assert autoencoders.mean_picture_loss(other, fitted, kind) > best


def test_the_untrained_twin_has_the_statistics_of_the_pictures(pictures):
    twin = autoencoders.untrained(WIDTH, 0.6, seed=0, pictures=pictures)
    assert not twin.training
    with torch.no_grad():
        first = twin.encoder.bn1(twin.encoder.conv1(pictures))
        last = twin.hidden[4](twin.hidden[3](twin.hidden[:3](twin.encoder(pictures))))
        codes = twin.encode(pictures)[0]
    for values in (first, last):
        channels = values.transpose(0, 1).flatten(1)
        torch.testing.assert_close(channels.mean(1), torch.zeros(len(channels)), atol=0.05, rtol=0)
        # A unit that hardly varies is damped by BatchNorm's eps.
        assert float(channels.std(1).median()) == pytest.approx(1, abs=0.05)
    assert float(codes.std(0).min()) > 0
    assert all(block.bn2.weight.eq(1).all() for name, block in twin.encoder.named_modules() if hasattr(block, "bn2"))
    again = autoencoders.load(WIDTH, 0.6, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), again.parameters(), strict=True))


def test_what_is_shipped_is_half_as_large_and_says_the_same(pictures, tmp_path):
    model = autoencoders.load(WIDTH, 0.2, seed=0, size=SIZE)
    autoencoders.train(model, pictures, 2)
    file = tmp_path / "half.safetensors"
    save_file(autoencoders.packed(model), file)
    assert {value.dtype for value in load_file(file).values()} == {torch.float16}
    again = autoencoders.load(WIDTH, 0.2, seed=9, weights=str(file), size=SIZE)
    assert {value.dtype for value in again.parameters()} == {torch.float32} and not again.training
    with torch.no_grad():
        torch.testing.assert_close(again(pictures)[0], model(pictures)[0], atol=0.01, rtol=0)
        torch.testing.assert_close(again(pictures)[1], model(pictures)[1], atol=0.05, rtol=0.01)


@pytest.fixture(scope="module")
def shown():
    """Scenes that the shipped networks were trained on, and unseen ones: 400 and 200."""
    return [part.pictures.tensors()[0] for part in scenes.load(400, 200, seed=0)]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rate", autoencoders.SHIPPED_RATES)
def test_shipped_networks_beat_the_mean_picture(rate, seed, shown):
    path = models.CHECKPOINTS / f"autoencoder_{100 * rate:.0f}-{seed}.safetensors"
    assert path.stat().st_size <= 1.1e6
    assert all(value.dtype == torch.float16 and value.isfinite().all() for value in load_file(path).values())
    model = autoencoders.shipped(rate, seed)
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {rate}
    fitted, others = shown
    mean, plain = autoencoders.mean_picture_loss(fitted, others), autoencoders.mean_loss(model, others)
    settled = autoencoders.mean_loss(models.settle(model, fitted), others)
    assert settled < SETTLED[rate] * mean
    if rate:
        # What BatchNorm learnt with dropout is not what it meets without: the shift that `train` speaks of.
        assert plain > 1.1 * settled
    else:
        assert plain == pytest.approx(settled, rel=0.02)


SETTLED = {0.0: 0.75, 0.4: 0.85, 0.6: 0.9, 0.8: 0.95}


def test_refusals(tmp_path, pictures):
    for changed, message in (
        ({"width": 6}, "width = 6: must be an even number"),
        ({"width": 9}, "width = 9: must be an even number"),
        ({"rate": 1.0}, "rate = 1.0: must be from 0 to below 1"),
        ({"rate": -0.1}, "rate = -0.1: must be from 0 to below 1"),
        ({"size": 8}, "size = 8: must be at least 16"),
        ({"weights": str(tmp_path / "none.safetensors")}, "weights = 'none.safetensors': not safetensors weights"),
        (
            {"pretrained": str(tmp_path / "none.safetensors")},
            "pretrained = 'none.safetensors': not safetensors weights",
        ),
    ):
        with pytest.raises(ParameterError, match=f"^{message}"):
            autoencoders.load(**{"width": WIDTH, "rate": 0.2, "seed": 0} | changed)
    pickled, other = tmp_path / "weights.pth", tmp_path / "other.safetensors"
    model = autoencoders.load(WIDTH, 0.2, seed=0, size=SIZE)
    torch.save(model.state_dict(), pickled)
    save_file(autoencoders.packed(model), other)
    for width, file in ((WIDTH, pickled), (10, other)):
        with pytest.raises(
            ParameterError, match=f"^weights = '{file.name}': not safetensors weights of this autoencoder"
        ):
            autoencoders.load(width, 0.2, seed=0, weights=str(file))
    with pytest.raises(ParameterError, match="^kind = 'mae': must be one of bce, mse"):
        autoencoders.mean_loss(model, pictures, "mae")
    with pytest.raises(ValueError, match="^pictures: 1, must be at least 2"):
        autoencoders.train(model, pictures[:1], 1)
    with pytest.raises(ValueError, match="^batch_size = 1: must be at least 2"):
        autoencoders.train(model, pictures, 1, batch_size=1)
    with pytest.raises(ParameterError, match="^rate = 0.5: must be one of 0.0, 0.4, 0.6, 0.8"):
        autoencoders.shipped(0.5, 0)
    with pytest.raises(ParameterError, match="^seed = 7: must be one of 0, 1, 2"):
        autoencoders.shipped(0.0, 7)
