"""Streaming the masked outputs: the same numbers as one plain call, in little memory, with a chunk that is always the same."""

import pytest
import torch
from torch import nn

from innercodes import masking
from innercodes.coalitions import coalitions

N = 8


@pytest.fixture(scope="module")
def score():
    """A small convolutional network on a picture of 16 x 16 whose columns of parts are masked; it keeps what it was given."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 3)
    ).eval()
    picture = torch.randn(1, 16, 16)
    part = torch.arange(16) * N // 16

    def scores(masks: torch.Tensor) -> torch.Tensor:
        scores.seen.append(len(masks))
        assert masks.dtype == torch.bool
        return network(torch.where(masks[:, None, None, part], picture, 0.0)).T

    scores.seen = []
    return scores


@pytest.fixture
def plain(score):
    with torch.no_grad():
        result = score(coalitions(N))
    score.seen.clear()
    return result


@pytest.mark.parametrize("chunk", [None, 1, 7, 64, 256, 1000])
def test_masked_outputs_equal_one_plain_call(score, plain, chunk):
    result = masking.masked_outputs(score, N, chunk)
    assert result.shape == (3, 2**N) and result.dtype == plain.dtype and not result.requires_grad
    torch.testing.assert_close(result, plain, rtol=1e-5, atol=1e-5)
    assert max(score.seen) <= (chunk or masking.fitting_chunk(score, N))


def test_the_masks_of_a_chunk_are_rows_of_all_coalitions():
    whole = coalitions(6)
    for start, stop in ((0, 64), (0, 1), (5, 23), (63, 64)):
        assert torch.equal(masking.masks_at(start, stop, 6), whole[start:stop])
    assert masking.masks_at(2**40 + 5, 2**40 + 6, 41)[0].nonzero().flatten().tolist() == [0, 2, 40]


def test_all_coalitions_are_never_in_memory_at_once(monkeypatch):
    made = []
    whole = masking.masks_at
    monkeypatch.setattr(
        masking, "masks_at", lambda start, stop, *rest: made.append(stop - start) or whole(start, stop, *rest)
    )
    result = masking.masked_outputs(lambda masks: masks.sum(-1), 16)
    assert max(made) <= 2**14 < 2**16 == len(result) and result[-1] == 16


def test_the_chosen_chunk_is_always_the_same(score):
    chunk = masking.fitting_chunk(score, N)
    assert chunk == masking.fitting_chunk(score, N) and 4 <= chunk <= 2**N and chunk & (chunk - 1) == 0
    score.seen.clear()
    masking.fitting_chunk(score, N)
    assert sum(score.seen) <= 8


def test_the_chosen_chunk_follows_the_largest_operation():
    def wide(width: int):
        return lambda masks: (masks.float().sum(-1, keepdim=True).expand(-1, width) * 2.0).sum(-1)

    # Reading and writing 2^14 floats takes a little more than 64 KiB a mask: room for fewer than 64 masks in 4 MiB.
    chunks = [masking.fitting_chunk(wide(width), 20) for width in (1, 2**10, 2**12, 2**14, 2**16, 2**20)]
    assert chunks == sorted(chunks, reverse=True)
    assert chunks[0] == 8192 and chunks[-1] == 4 and chunks[1] == 512 and chunks[3] == 32
    assert masking.fitting_chunk(wide(1), 3) == 8


def test_weights_do_not_count():
    layer = nn.Linear(10, 10)
    heavy = torch.zeros(2**21)
    assert masking.fitting_chunk(lambda m: layer(m.float())[:, 0], 10) == 2**10
    assert masking.fitting_chunk(lambda m: layer(m.float())[:, 0] + heavy.sum(), 10) == 2**10


def test_running_out_of_gpu_memory_halves_the_chunk(score, plain):
    def tight(masks: torch.Tensor) -> torch.Tensor:
        if len(masks) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score(masks)

    with pytest.warns(UserWarning) as said:
        result = masking.masked_outputs(tight, N, 128)
    assert [str(one.message) for one in said] == [
        f"out of GPU memory: going on with {m} masks at once" for m in (64, 32)
    ]
    torch.testing.assert_close(result, plain, rtol=1e-5, atol=1e-5)

    def never(masks: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning):
        masking.masked_outputs(never, N, 2)


def test_what_can_not_work_is_said_first(score):
    with pytest.raises(MemoryError, match="n = 48 players need"):
        masking.masked_outputs(score, 48)
    with pytest.raises(ValueError, match="n = 0"):
        masking.masked_outputs(score, 0)
    with pytest.raises(ValueError, match="chunk = 0"):
        masking.masked_outputs(score, 4, 0)
    with pytest.raises(ValueError, match=r"16 masks gave scores of shape \(16, 1\)"):
        masking.masked_outputs(lambda masks: masks.float().mean(-1, keepdim=True), 4)


def test_the_result_is_held_against_memory_with_all_its_rows():
    # One row of 2^30 would fit in many machines; four thousand rows do not.
    with pytest.raises(MemoryError, match="n = 30 players need"):
        masking.masked_outputs(lambda masks: torch.zeros(4096, len(masks), dtype=torch.float64), 30, 16)
