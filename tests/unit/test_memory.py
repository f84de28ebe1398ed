"""Chunks of rows that get smaller where memory runs out, and what uses them, on a network that stands for a small GPU."""

import pytest
import torch
from torch import nn

from innercodes import activations, attacks
from innercodes.memory import Chunks


def short(rows: int) -> None:
    raise torch.OutOfMemoryError(f"no room for {rows} rows")


def test_rows_are_covered_once_and_the_size_stays_small():
    done, chunks = [], Chunks("rows", 10)

    def three(rows: slice) -> None:
        if rows.stop - rows.start > 3:
            short(rows.stop - rows.start)
        done.extend(range(rows.start, rows.stop))

    with pytest.warns(UserWarning) as said:
        chunks.over(11, three)
    assert done == list(range(11)) and chunks.size == 2
    assert [str(one.message) for one in said] == [f"out of GPU memory: going on with {n} rows at once" for n in (5, 2)]
    chunks.over(4, three)
    assert done[11:] == [0, 1, 2, 3]


def test_one_row_too_many_is_an_error():
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="with 1 rows"):
        Chunks("rows", 2).over(4, lambda rows: short(rows.stop - rows.start))
    with pytest.raises(ValueError, match="chunk = 0"):
        Chunks("rows", 0)
    Chunks("rows", 3).over(0, short)


class Small(nn.Module):
    """A network with room for `most` inputs; no BatchNorm, so that inputs do not know of each other."""

    def __init__(self, most: int):
        super().__init__()
        torch.manual_seed(0)
        self.most = most
        self.layer1 = nn.Conv2d(3, 4, 3)
        self.layer2 = nn.Conv2d(4, 5, 3)
        self.last = nn.Linear(5, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > self.most:
            short(len(inputs))
        return self.last(self.layer2(self.layer1(inputs).relu()).mean((-2, -1)))


@pytest.mark.parametrize("placed", [False, True])
def test_a_pass_goes_on_with_fewer_inputs(placed):
    inputs = torch.rand(23, 3, 8, 8)
    seen: list[int] = []

    def means(maps: torch.Tensor, *beside) -> torch.Tensor:
        if placed:
            given, rows = beside
            assert torch.equal(given, inputs[rows])
            seen.extend(range(rows.start, rows.stop))
        return maps.mean((-2, -1))

    names = ("layer1", "layer2", activations.OUTPUT)
    wanted = activations.collect(Small(100), list(inputs.split(9)), names, means, placed=placed)
    seen.clear()
    with pytest.warns(UserWarning, match="out of GPU memory: going on with 4 inputs at once") as said:
        found = activations.collect(Small(4), list(inputs.split(9)), names, means, placed=placed)
    assert len(said) == 1
    for name in names:
        torch.testing.assert_close(found[name], wanted[name])
    assert not placed or sorted(seen) == sorted(2 * list(range(23)))


def test_an_attack_goes_on_with_fewer_inputs_from_the_same_start():
    inputs, labels = torch.rand(10, 3, 8, 8), torch.arange(10) % 3
    wanted = attacks.pgd(Small(100), inputs, labels, 0.1, 5, seed=3, low=0, high=1)
    with pytest.warns(UserWarning, match="with 5 inputs") as said:
        found = attacks.pgd(Small(5), inputs, labels, 0.1, 5, seed=3, low=0, high=1)
    assert len(said) == 1
    torch.testing.assert_close(found, wanted)


def test_an_attack_is_the_plain_loop():
    """Against the loop written out, to the last bit."""
    network, inputs, labels = Small(100).double(), torch.rand(6, 3, 8, 8, dtype=torch.float64), torch.arange(6) % 3
    found = attacks.pgd(network, inputs, labels, 0.1, 4, seed=1, low=0, high=1, step=0.03)
    start = (2 * torch.rand(inputs.shape, generator=torch.Generator().manual_seed(1)) - 1).to(inputs) * 0.1
    x = (inputs + start).clamp(0, 1)
    for _ in range(4):
        x = x.detach().requires_grad_()
        nn.functional.cross_entropy(network(x), labels, reduction="sum").backward()
        x = (x.detach() + 0.03 * x.grad.sign()).clamp(inputs - 0.1, inputs + 0.1).clamp(0, 1)
    assert torch.equal(found, x.detach())
