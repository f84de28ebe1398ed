"""One pass, many taps: against plain loops, scipy's centre of mass and networks of timm."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import nn

from innercodes import activations, models
from innercodes.parameters import ParameterError


def maps_of(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_vector_codes_against_scipy_channel_by_channel():
    maps = maps_of(3, 5, 4, 7).double()
    codes = activations.vector_codes(maps, coding="raw")
    assert codes.shape == (3, 20)
    for b in range(3):
        for c in range(5):
            one = maps[b, c].numpy()
            centre = np.mean(ndimage.center_of_mass(one.clip(min=0)))
            assert codes[b, [c, 5 + c, 10 + c, 15 + c]].tolist() == pytest.approx(
                [one.max(), one.mean(), one.std(), centre]
            )
            by_size = activations.vector_codes(maps, coding="raw", negative="size")[b, 15 + c]
            assert float(by_size) == pytest.approx(np.mean(ndimage.center_of_mass(abs(one))))


@pytest.mark.parametrize("center", activations.CENTERS)
def test_constant_empty_single_and_hot_pixel_maps(center):
    for fill in (2.5, 0.0):
        for height, width in ((4, 6), (5, 5), (1, 1)):
            code = activations.vector_codes(torch.full((1, height, width), fill), center=center)
            assert code[:3].tolist() == [fill, fill, 0.0]
            if center != "radius":
                assert float(code[3]) == pytest.approx(0.5)
            assert 0 <= float(code[3]) <= 1
    hot = torch.zeros(1, 4, 6)
    hot[0, 3, 1] = 7.0
    expected = {"mean": 2.0, "raster": 3 * 6 + 1, "radius": 10**0.5}[center]
    assert float(activations.vector_codes(hot, "raw", center)[3]) == pytest.approx(expected)
    last = torch.zeros(1, 4, 6)
    last[0, 3, 5] = 1.0
    assert float(activations.vector_codes(last, center=center)[3]) == pytest.approx(1)
    assert activations.vector_codes(hot, "without centre").shape == (3,)


@given(st.floats(0.1, 10), st.integers(0, 3), st.integers(0, 3))
def test_scaling_a_map_scales_the_code_and_leaves_the_centre(factor, seed, shift):
    maps = maps_of(2, 3, 5, 5, seed=seed).relu().double() + shift
    codes, scaled = activations.vector_codes(maps), activations.vector_codes(factor * maps)
    torch.testing.assert_close(scaled[:, :9], factor * codes[:, :9])
    torch.testing.assert_close(scaled[:, 9:], codes[:, 9:])


@pytest.mark.parametrize("changed", [{"coding": "plain"}, {"center": "median"}, {"negative": "drop"}])
def test_unknown_codings_are_refused_by_name(changed):
    ((name, value),) = changed.items()
    with pytest.raises(ValueError, match=f"^{name} = '{value}': must be one of"):
        activations.vector_codes(torch.ones(1, 2, 2), **changed)


@pytest.mark.parametrize("shape", [(2, 3, 0, 4), (2, 3, 4, 0), (5, 5), (7,)])
def test_maps_without_a_pixel_are_refused_by_name(shape):
    with pytest.raises(ValueError, match=r"^maps: shape \(.*\), must be \(\.\.\., C, H, W\) with at least one pixel$"):
        activations.vector_codes(torch.zeros(shape))


def test_no_pictures_have_no_codes_and_a_nan_stays_one():
    assert activations.vector_codes(torch.zeros(0, 3, 4, 4)).shape == (0, 12)
    maps = torch.ones(2, 3, 4, 4)
    maps[1, 2, 0, 0] = torch.nan
    found = activations.vector_codes(maps)
    assert (
        found[0].isfinite().all()
        and found[1, [2, 5, 8]].isnan().all()
        and found[1, [0, 1, 3, 4, 6, 7]].isfinite().all()
    )


def test_z_scores_and_a_dimension_that_never_changes():
    codes = torch.cat([maps_of(50, 3).double() * 4 + 2, torch.full((50, 1), 3.0, dtype=torch.float64)], 1)
    scored = activations.z_scored(codes)
    torch.testing.assert_close(scored.mean(0), torch.zeros(4, dtype=torch.float64))
    assert scored.std(0, correction=0).tolist() == pytest.approx([1, 1, 1, 0])
    torch.testing.assert_close(activations.z_scored(codes[:5], codes), scored[:5])


def test_strided_columns():
    maps = torch.arange(2 * 30).view(2, 5, 3, 2)
    assert activations.strided_columns(maps, 30).shape == (2, 30)
    assert activations.strided_columns(maps, 8).tolist() == [list(range(0, 30, 4)), list(range(30, 60, 4))]


@pytest.mark.parametrize("name", ["cifar", "resnet18", "vit", "swin", "mobilenet"])
def test_one_pass_gives_what_a_plain_loop_gives(name):
    import timm  # only after innercodes, which repairs its import

    torch.manual_seed(0)
    size, total = 64, 7
    if name == "cifar":
        model = models.untrained("resnet8", 0, channels=3, outputs=4)
    elif name == "vit":
        model = timm.create_model("vit_tiny_patch16_224", img_size=size, depth=3)
    elif name == "swin":
        model = timm.create_model("swin_tiny_patch4_window7_224", img_size=size, window_size=2)
    else:
        model = timm.create_model({"resnet18": "resnet18", "mobilenet": "mobilenetv2_100"}[name])
    model.train()
    names = activations.stages(model)
    assert len(names) >= 3
    pictures = torch.rand(total, 3, size, size)
    extra = ["blocks.1:cls"] if name == "vit" else []
    found = activations.collect(
        model, pictures.split(3), [*names, *extra, "input", "output"], activations.vector_codes
    )  # fmt: skip
    assert model.training and not any(module._forward_hooks for module in model.modules())
    model.eval()
    stages = dict(activations.network_of(model).named_modules())
    for stage in names:
        seen = []
        hook = stages[stage].register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out.clone()))
        with torch.inference_mode():
            logits = model(pictures)
        hook.remove()
        out = seen[0]
        if name == "vit":
            if stage == "blocks.1":
                torch.testing.assert_close(found["blocks.1:cls"], out[:, 0], rtol=1e-4, atol=1e-5)
            out = torch.stack([out[:, 1 + r * 4 : 5 + r * 4].mT for r in range(4)], -2)  # rows of 4 tokens
        if name == "swin":
            out = out.movedim(-1, 1)
        torch.testing.assert_close(found[stage], activations.vector_codes(out), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["output"], logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["input"], activations.vector_codes(pictures))


def test_results_beyond_the_limit_lie_in_a_file_that_leaves_nothing_behind(tmp_path):
    model = models.untrained("resnet8", 0, channels=1, outputs=4)
    pictures = torch.rand(20, 1, 8, 8)
    given = (model, pictures.split(6), ["layer1", "output"], activations.vector_codes)
    in_memory = activations.collect(*given)
    in_file = activations.collect(*given, memory=2 * 20 * 4 * 4, folder=tmp_path)  # room for the output alone
    assert all(torch.equal(in_memory[name], in_file[name]) for name in in_memory)
    assert list(tmp_path.iterdir()) == []
    mapped = Path("/proc/self/maps")
    assert mapped.read_text().count(str(tmp_path)) == 1
    del in_file
    assert mapped.read_text().count(str(tmp_path)) == 0


def test_loaders_reductions_by_name_and_models_with_their_normalisation():
    model = models.untrained("resnet8", 0, channels=1, outputs=4)
    wrapped = nn.Sequential()
    wrapped.add_module("normalise", models.Normalise([0.5], [0.25]))
    wrapped.add_module("network", model)
    data = torch.utils.data.TensorDataset(torch.rand(10, 1, 8, 8), torch.arange(10))
    loader = torch.utils.data.DataLoader(data, batch_size=4)
    reduce = {"layer1": lambda maps: maps.mean((-2, -1)), "layer3": activations.vector_codes}
    found = activations.collect(wrapped, loader, ["layer1", "layer3", "output"], reduce)
    plain = activations.collect(model, [(data.tensors[0] - 0.5) / 0.25], ["layer1", "layer3", "output"], reduce)
    for name, shape in (("layer1", (10, 16)), ("layer3", (10, 256)), ("output", (10, 4))):
        assert found[name].shape == shape
        torch.testing.assert_close(found[name], plain[name], rtol=1e-4, atol=1e-5)


def test_what_can_not_be_collected_is_refused_by_name():
    model = models.untrained("resnet8", 0, channels=1, outputs=4)
    pictures = torch.rand(4, 1, 8, 8)

    def go(names, batches=None, network=model, **given):
        return activations.collect(network, batches or [pictures], names, activations.vector_codes, **given)

    for name in ("layer9", "", ":cls"):
        with pytest.raises(
            ParameterError, match=f"^stages = '{name}': must be among layer1, layer2, layer3, input, output"
        ):
            go(["layer1", name])
    with pytest.raises(ValueError, match="no class token"):
        go(["layer1:cls"])
    with pytest.raises(ValueError, match=r"^total = 3: the batches hold more"):
        go(["layer1"], total=3)
    with pytest.raises(ValueError, match=r"^total = 5: the batches hold 4 inputs"):
        go(["layer1"], total=5)
    with pytest.raises(ValueError, match="^total: needed"):
        go(["layer1"], iter([pictures]))
    assert go(["layer1"], iter([pictures]), total=4)["layer1"].shape == (4, 64)
    shared = nn.Sequential(nn.Flatten(), nn.Linear(64, 64))
    shared.add_module("again", shared[1])
    with pytest.raises(ValueError, match="^stage '1' runs more than once"):
        go(["1"], network=shared)
    shared.unused = nn.Identity()
    shared.forward = lambda x: x
    with pytest.raises(ValueError, match="^stage 'unused' never runs"):
        go(["unused"], network=shared)
    assert not any(module._forward_hooks for module in [*model.modules(), *shared.modules()])
