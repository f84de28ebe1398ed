"""The subset and superset transforms against their literal sums, on every path they can take."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from innercodes import moebius, oracles

seeds = st.integers(0, 10**6)
sizes = st.integers(1, 8)
transforms = pytest.mark.parametrize("transform", [moebius.subsets, moebius.supersets])
signs = pytest.mark.parametrize("sign", [1, -1])


def values(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def superset_sums(v: torch.Tensor, sign: int) -> torch.Tensor:
    """The definition, O(4^n)."""
    return torch.stack(
        [
            sum(sign ** ((t ^ s).bit_count()) * v[t] for t in range(len(v)) if t & s == s)
            for s in range(len(v))
        ]
    )  # fmt: skip


def by_torch(v: torch.Tensor, sign: int, up: bool) -> torch.Tensor:
    """One player after the other, without the compiled sweeps."""
    result = v.clone()
    for i in range(v.shape[-1].bit_length() - 1):
        pairs = result.view(-1, 2, 2**i)
        pairs[:, 1 - up].add_(pairs[:, int(up)], alpha=sign)
    return result


@pytest.fixture(scope="module", autouse=True)
def compiled_before_the_clock_runs():
    """Hypothesis limits the time of an example; the first call compiles."""
    for dtype in (torch.float32, torch.float64):
        moebius.subsets(torch.zeros(2, dtype=dtype))


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@given(sizes, seeds)
def test_subsets_equal_the_alternating_sum(n, seed):
    v = values(2**n, seed=seed)
    torch.testing.assert_close(moebius.subsets(v, sign=-1), oracles.harsanyi(v), rtol=0, atol=1e-12)
    torch.testing.assert_close(moebius.subsets(moebius.subsets(v, sign=-1)), v, rtol=0, atol=1e-12)


@signs
@given(st.integers(1, 6), seeds)
def test_supersets_equal_their_definition(sign, n, seed):
    v = values(2**n, seed=seed)
    torch.testing.assert_close(moebius.supersets(v, sign), superset_sums(v, sign), rtol=0, atol=1e-12)


@signs
@given(st.integers(1, 10), seeds)
def test_supersets_are_the_adjoint_of_subsets(sign, n, seed):
    a, b = values(2, 2**n, seed=seed)
    left, right = moebius.subsets(a, sign) @ b, a @ moebius.supersets(b, sign)
    assert float(left) == pytest.approx(float(right), rel=1e-9, abs=1e-9)


@transforms
@signs
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", range(1, 19))
def test_the_sweeps_equal_single_players_to_the_last_bit(transform, sign, dtype, n):
    v = values(3, 2**n, seed=n, dtype=dtype)
    expected = by_torch(v, sign, transform is moebius.supersets)
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        assert torch.equal(transform(v, sign), expected)
    assert torch.equal(transform(v, sign, in_place=True), expected)


@pytest.mark.parametrize("shape", [(1, 2**20), (2, 2**21), (700, 2**8)])
def test_more_sizes_to_the_last_bit(shape):
    v = values(*shape, dtype=torch.float32)
    for transform, up in ((moebius.subsets, False), (moebius.supersets, True)):
        expected = by_torch(v, -1, up)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert torch.equal(transform(v, sign=-1), expected)


def test_three_sweeps(monkeypatch):
    monkeypatch.setattr(moebius, "_HIGH", 2)
    v = values(2, 2**19)
    assert torch.equal(moebius.subsets(v, sign=-1), by_torch(v, -1, False))


@transforms
def test_the_threads_of_numba_are_left_as_they_were(transform):
    import numba

    before = numba.get_num_threads()
    torch.set_num_threads(1 if before > 1 else 2)
    transform(values(2**17))
    assert numba.get_num_threads() == before


@transforms
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.1), (torch.bfloat16, 1.0)])
def test_half_precision(transform, dtype, tolerance):
    v = values(4, 2**6, dtype=dtype)
    result = transform(v, sign=1)
    assert result.dtype == dtype
    torch.testing.assert_close(result.double(), transform(v.double(), sign=1), rtol=0, atol=tolerance)


@transforms
def test_leading_dimensions_and_strides(transform):
    v = values(3, 5, 2**7)
    whole = transform(v, sign=-1)
    assert torch.equal(whole[1, 2], transform(v[1, 2], sign=-1))
    before = v.clone()
    assert torch.equal(transform(v.transpose(0, 1), sign=-1), whole.transpose(0, 1))
    assert torch.equal(transform(v[:, ::2], sign=-1), whole[:, ::2])
    column = v.permute(2, 0, 1)
    assert torch.equal(transform(column.permute(1, 2, 0), sign=-1), whole)
    assert torch.equal(v, before)
    assert transform(v[:0]).shape == (0, 5, 2**7)
    expanded = v[0, 0].expand(4, -1)
    assert torch.equal(transform(expanded)[3], transform(v[0, 0]))


@transforms
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_in_place(transform, dtype):
    v = values(3, 2**9, dtype=dtype)
    expected, where = transform(v, sign=-1), v.data_ptr()
    result = transform(v, sign=-1, in_place=True)
    assert result is v and v.data_ptr() == where and torch.equal(v, expected)


@transforms
def test_in_place_refuses_what_it_would_have_to_copy(transform):
    with pytest.raises(ValueError, match="contiguous"):
        transform(values(4, 8).T[:2], in_place=True)
    with pytest.raises(ValueError, match="requires grad"):
        transform(values(8).requires_grad_(), in_place=True)


@transforms
def test_other_input_is_refused(transform):
    with pytest.raises(ValueError, match="power of two"):
        transform(values(6))
    with pytest.raises(ValueError, match="single number"):
        transform(torch.tensor(1.0))
    with pytest.raises(ValueError, match="sign = 2"):
        transform(values(8), sign=2)


@transforms
@signs
def test_gradients_flow(transform, sign):
    v = values(2, 2**4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: transform(x, sign), v)
    assert torch.autograd.gradgradcheck(lambda x: transform(x, sign).square(), v)
    with torch.no_grad():
        assert torch.equal(transform(v, sign), transform(v.detach(), sign))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@settings(max_examples=20)
@given(where=st.integers(0, 2 * 2**7 - 1), sign=st.sampled_from([1, -1]))
def test_what_is_not_finite_is_found(bad, dtype, where, sign):
    v = values(2, 2**7, dtype=dtype)
    moebius.subsets(v, sign, check=True)
    v.view(-1)[where] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        moebius.subsets(v, sign, check=True)
    with pytest.raises(ValueError, match="NaN or infinity"):
        moebius.subsets(v, sign, in_place=True, check=True)


def test_two_infinities_of_opposite_sign_are_found():
    v = values(2**5)
    v[3], v[8] = float("inf"), -float("inf")
    for sign in (1, -1):
        with pytest.raises(ValueError, match="NaN or infinity"):
            moebius.subsets(v, sign, check=True)


def test_sums_beyond_the_dtype_are_told_from_bad_input():
    with pytest.raises(ValueError, match=r"leave the range of torch\.float16"):
        moebius.subsets(torch.full((8,), 40000, dtype=torch.float16), check=True)
