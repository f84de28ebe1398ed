"""The subset Moebius transform, its inverse and their adjoints along the last axis: O(n 2^n), no 2^n x 2^n matrix.

Float32 and float64 on the CPU are compiled and take two sweeps over memory up to n = 24, on as many threads as torch has;
any other dtype or device, and whatever needs gradients, takes one torch operation per player.
"""

import contextlib
from collections.abc import Callable, Iterator

import numba
import numpy as np
import torch
from torch import Tensor

from innercodes.coalitions import players

_LOW = 15  # players of the first sweep: blocks of 2^15 values (256 KiB in double) stay in the second-level cache
_TILE = 12  # of these, the players whose tiles stay in the first-level cache
_HIGH = 9  # players of every later sweep, over buffers of at most 2^9 rows of 2^7 columns
_U = np.uintp  # unsigned indices: numba would test signed ones for being negative, and LLVM then gives up vectorising


def subsets(values: Tensor, sign: int = 1, in_place: bool = False, check: bool = False) -> Tensor:
    """Sums over all subsets, (..., 2^n): result[S] = sum over T in S of sign^(|S|-|T|) values[T].

    sign = -1 is the Moebius transform, sign = 1 its inverse, the zeta transform. `in_place` overwrites `values` and
    returns it. The bits of the result do not depend on the number of threads. `check` raises ValueError when an entry of
    `values` is NaN or infinite, or the sums leave the range of the dtype; values in place are overwritten by then.
    Raises ValueError also for a length that is no power of two, a sign other than 1 and -1, and in place for a tensor that
    is not contiguous or requires grad.
    """
    result = _transform(values, sign, in_place, up=False)
    # The last entry sums every value, with some sign, and no sum loses NaN or infinity: the array need not be read again.
    if check and not result[..., -1].isfinite().all():
        if not in_place and values.isfinite().all():
            raise ValueError(f"the sums over the outputs leave the range of {values.dtype}")
        raise ValueError("the outputs hold NaN or infinity; every masked output must be finite")
    return result


def supersets(values: Tensor, sign: int = 1, in_place: bool = False) -> Tensor:
    """Sums over all supersets, the adjoint of `subsets`: result[S] = sum over T containing S of sign^(|T|-|S|) values[T].

    Shapes, `in_place`, threads and errors as for `subsets`.
    """
    return _transform(values, sign, in_place, up=True)


def _transform(values: Tensor, sign: int, in_place: bool, up: bool) -> Tensor:
    if values.ndim == 0:
        raise ValueError("a single number is no game: the last axis must have 2^n entries")
    n = players(values)
    if sign not in (1, -1):
        raise ValueError(f"sign = {sign}: must be 1 or -1")
    if in_place and not values.is_contiguous():
        raise ValueError("only a contiguous tensor can be transformed in place")
    if in_place and values.requires_grad:
        raise ValueError("a tensor that requires grad can not be transformed in place")
    needs_grad = values.requires_grad and torch.is_grad_enabled()
    if needs_grad or values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        result = values if in_place else values.clone(memory_format=torch.contiguous_format)
        _butterflies(result, n, sign, up)
        return result
    source = values.detach().contiguous()
    # A copy made for contiguity is ours to overwrite.
    result = torch.empty_like(source) if values.is_contiguous() and not in_place else source
    _sweeps(source.view(-1).numpy(), result.view(-1).numpy(), n, sign, up)
    return values if in_place else result


def _butterflies(result: Tensor, n: int, sign: int, up: bool) -> None:
    """The transform in place, one torch operation per player; gradients flow through it."""
    for i in range(n):
        pairs = result.view(-1, 2, 2**i)
        pairs[:, 1 - up].add_(pairs[:, int(up)], alpha=sign)


def _sweeps(source: np.ndarray, result: np.ndarray, n: int, sign: int, up: bool) -> None:
    """The transform from one flat array into another, or into itself: `_LOW` players, then `_HIGH` at a time."""
    parallel = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS) > 1 and result.size > 2**_LOW
    with torch_threads() if parallel else contextlib.nullcontext():
        sweep = _sweep_parallel if parallel else _sweep_serial
        done = min(n, _LOW)
        sweep(source, result, 0, done, result.dtype.type(sign), up)
        while done < n:
            k = min(n - done, _HIGH)
            sweep(result, result, done, k, result.dtype.type(sign), up)
            done += k


@contextlib.contextmanager
def torch_threads() -> Iterator[None]:
    """Let numba use as many threads as torch does, as far as it has them, and leave both as they were.

    numba starts all its threads at its first parallel kernel and tells OpenMP so; torch, which shares OpenMP with it, would
    go on with that number.
    """
    # In this order: asking numba already starts its threads.
    threads, before = torch.get_num_threads(), numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
        torch.set_num_threads(threads)


def _compiled(**options: bool) -> Callable[[Callable], Callable]:
    """numba's compiler, keeping what it compiled on disk where it finds a place to write."""
    # sign * x is exact for signs 1 and -1, so that a fused multiply-add ("contract") rounds as a sum does.
    options = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy", **options}

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder to write to
            return numba.njit(**options)(function)

    return decorate


@numba.njit(inline="always")
def _eight(source, first_in, step_in, target, first_out, step_out, width, sign):
    """Three players: eight runs of `width` values, `step_in` apart in source, to runs `step_out` apart in target."""
    i1 = first_in + step_in
    i2 = i1 + step_in
    i3 = i2 + step_in
    i4 = i3 + step_in
    i5 = i4 + step_in
    i6 = i5 + step_in
    i7 = i6 + step_in
    o1 = first_out + step_out
    o2 = o1 + step_out
    o3 = o2 + step_out
    o4 = o3 + step_out
    o5 = o4 + step_out
    o6 = o5 + step_out
    o7 = o6 + step_out
    for c in range(width):
        x0 = source[first_in + c]
        x1 = source[i1 + c] + sign * x0
        x2 = source[i2 + c]
        x3 = source[i3 + c] + sign * x2
        x4 = source[i4 + c]
        x5 = source[i5 + c] + sign * x4
        x6 = source[i6 + c]
        x7 = source[i7 + c] + sign * x6
        x2 += sign * x0
        x3 += sign * x1
        x6 += sign * x4
        x7 += sign * x5
        target[first_out + c] = x0
        target[o1 + c] = x1
        target[o2 + c] = x2
        target[o3 + c] = x3
        target[o4 + c] = x4 + sign * x0
        target[o5 + c] = x5 + sign * x1
        target[o6 + c] = x6 + sign * x2
        target[o7 + c] = x7 + sign * x3


@numba.njit(inline="always")
def _three(source, result, start, size, i, sign, up):
    """Players i, i + 1 and i + 2 within source[start : start + size], into the same place of result."""
    h = _U(1) << _U(i)
    # A width that the compiler can not know to be h keeps it from unrolling h = 8, so that it vectorises.
    width = min(h, _U(size))
    for t in range(_U(size) >> _U(i + 3)):
        # Shifts, not products: LLVM tests pointers for overlap once for all t where it sees a fixed stride, and fails.
        first = _U(start) + (t << _U(i + 3))
        step = h
        if up:
            first += _U(7) * h
            step = -h
        _eight(source, first, step, result, first, step, width, sign)


@_compiled()
def _players(source, result, start, size, i, k, sign, up):
    """Players i ... i + k - 1 within source[start : start + size], a multiple of 2^(i + k), into result."""
    if i == 0 and k >= 3:
        _three(source, result, start, size, 0, sign, up)
        i, k = 3, k - 3
    elif i == 0:
        for c in range(_U(start), _U(start + size)):
            result[c] = source[c]
    # Short runs of neighbours are vectors only where the strides are constants.
    if i == 3 and k >= 3:
        if up:
            _three(result, result, start, size, 3, sign, True)
        else:
            _three(result, result, start, size, 3, sign, False)
        i, k = 6, k - 3
    if i == 6 and k >= 3:
        if up:
            _three(result, result, start, size, 6, sign, True)
        else:
            _three(result, result, start, size, 6, sign, False)
        i, k = 9, k - 3
    while k >= 3:
        _three(result, result, start, size, i, sign, up)
        i, k = i + 3, k - 3
    h = _U(1) << _U(i)
    if k == 2:
        for t in range(_U(size) >> _U(i + 2)):
            i0 = _U(start) + (t << _U(i + 2))
            step = h
            if up:
                i0 += _U(3) * h
                step = -h
            i1 = i0 + step
            i2 = i1 + step
            i3 = i2 + step
            for c in range(h):
                x0 = result[i0 + c]
                x1 = result[i1 + c] + sign * x0
                x2 = result[i2 + c]
                x3 = result[i3 + c] + sign * x2
                result[i1 + c] = x1
                result[i2 + c] = x2 + sign * x0
                result[i3 + c] = x3 + sign * x1
    elif k == 1:
        for t in range(_U(size) >> _U(i + 1)):
            i0 = _U(start) + (t << _U(i + 1))
            i1 = i0 + h
            if up:
                i0, i1 = i1, i0
            for c in range(h):
                result[i1 + c] += sign * result[i0 + c]


@_compiled()
def _block(source, result, t, first, k, sign, up):
    """Players first ... first + k - 1 of block t: contiguous for the lowest players, else a buffered strip of columns."""
    target, width, i = result, 0, 0
    if first == 0:
        length = 1 << _LOW >> k << k
        start = t * length
        stop = min(start + length, result.size)
        tiled = min(k, _TILE)
        tile = 1 << _TILE >> tiled << tiled
    else:
        # Rows lie a power of two apart and would compete for the same few lines of the cache; side by side they do not.
        width = _width(k)
        strips = first - width
        corner = (t >> strips << first + k) + ((t & (1 << strips) - 1) << width)
        target = np.empty(1 << k + width, result.dtype)
        start, stop, tile = 0, target.size, target.size
        if k >= 3:  # the lowest three on the way into the buffer
            for r in range(0, 1 << k, 8):
                p, q = _U(corner + (r << first)), _U(r << width)
                step, to_step = _U(1) << _U(first), _U(1) << _U(width)
                if up:
                    p, q = p + _U(7) * step, q + _U(7) * to_step
                    step, to_step = -step, -to_step
                _eight(result, p, step, target, q, to_step, _U(1) << _U(width), sign)
            i, tiled = width + 3, k - 3
        else:
            for r in range(1 << k):
                p, q = _U(corner + (r << first)), _U(r << width)
                for c in range(_U(1) << _U(width)):
                    target[q + c] = result[p + c]
            i, tiled = width, k
    # One call for both phases: the compiler would inline, and translate, each call anew.
    for o in range(start, stop + tile, tile):
        if o < stop:
            _players(source if first == 0 else target, target, o, min(tile, stop - o), i, tiled, sign, up)
        elif first == 0 and k > tiled:
            _players(target, target, start, stop - start, tiled, k - tiled, sign, up)
    if first:
        for r in range(1 << k):
            p, q = _U(corner + (r << first)), _U(r << width)
            for c in range(_U(1) << _U(width)):
                result[p + c] = target[q + c]


@numba.njit(inline="always")
def _width(k):
    """log2 of the columns of a strip with 2^k rows."""
    return max(7, _TILE - k)


@_compiled()
def _blocks(size, first, k):
    """How many blocks a sweep has; every block is a task of its own, so that threads never share a sum."""
    if first:
        return size >> k + _width(k)
    block = 1 << _LOW >> k << k
    return (size + block - 1) // block


@_compiled()
def _sweep_serial(source, result, first, k, sign, up):
    for t in range(_blocks(result.size, first, k)):
        _block(source, result, t, first, k, sign, up)


@_compiled(parallel=True)
def _sweep_parallel(source, result, first, k, sign, up):
    for t in numba.prange(_blocks(result.size, first, k)):
        _block(source, result, t, first, k, sign, up)
