"""Codes under dropout (Marshall & Kirchner 2024, Figures 2 and 3a, supplement 2.2 and 2.3): capacity, erasures, ideal spectra.

Dropout at rate D sets each symbol to 0 with probability D. Where a reader can tell a lost symbol from a sent 0 it is an erasure.
"""

import math

import numba
import numpy as np
import torch
from scipy.special import rel_entr
from sklearn.linear_model import LinearRegression
from torch import Tensor

KINDS = ("none", "repetition", "linear", "linear once")
"""Codes that `recovered` knows."""


def dropout_bounds(bits: float, rate: float) -> tuple[float, float]:
    """Bounds on the capacity, in bits, of a channel of 2^bits symbols under dropout (theorem 3, supplement 2.3).

    Above, (1 - D) b: that of an erasure channel. Below, (1 - D) (b + log2(1 - 2^-b)): a uniform code that avoids the symbol 0.
    """
    _check(bits, rate)
    return (1 - rate) * (bits + math.log2(1 - 2.0**-bits)), (1 - rate) * bits


def dropout_channel(bits: int, rate: float) -> Tensor:
    """Transition matrix of the dropout channel, float64 (2^bits, 2^bits): row = sent, column = received, symbol 0 the lost one."""
    _check(bits, rate)
    channel = (1 - rate) * torch.eye(2**bits, dtype=torch.float64)
    channel[:, 0] += rate
    return channel


def blahut_arimoto(channel: Tensor, tolerance: float = 1e-9, steps: int = 100_000) -> float:
    """Capacity in bits of a channel without memory, float (sent, received) with rows that sum to 1 (Blahut 1972, Arimoto 1972).

    Each step brackets the capacity; ends with the lower end once the bracket is at most `tolerance` wide. Raises ValueError for
    rows that are no distributions and where `steps` do not get there.
    """
    rows = np.asarray(channel, dtype=np.float64)
    if rows.ndim != 2 or not ((rows >= 0).all() and np.allclose(rows.sum(1), 1, atol=1e-9)):
        raise ValueError(f"channel: shape {tuple(rows.shape)}, must be (sent, received) with rows that sum to 1")
    weights = np.full(len(rows), 1 / len(rows))
    for _ in range(steps):
        # What each sent symbol tells, in bits: the capacity is at least the mean and at most the largest.
        told = rel_entr(rows, weights @ rows).sum(1) / math.log(2)
        factors = weights * np.exp2(told)
        low, high = math.log2(factors.sum()), float(told.max())
        if high - low <= tolerance:
            return low
        weights = factors / factors.sum()
    raise ValueError(
        f"steps = {steps}: the capacity lies in {low:.9g} to {high:.9g} bits, a bracket above {tolerance:.1e}"
    )


def uncoded(layers: int, rate: float, length: int = 256, trials: int = 1000, seed: int = 0) -> Tensor:
    """Share of symbols left after 1 ... N layers of dropout without any correction, float64 (layers,); (1 - D)^N on average."""
    _check(1, rate)
    generator = torch.Generator().manual_seed(seed)
    left, shares = torch.ones(trials, length, dtype=torch.bool), []
    for _ in range(layers):
        left &= ~_erased(trials, length, rate, generator)
        shares.append(left.double().mean())
    return torch.stack(shares)


def recovered(
    kind: str,
    layers: int,
    rate: float,
    length: int = 256,
    code_rate: float = 0.70,
    trials: int = 1000,
    seed: int = 0,
) -> Tensor:
    """Share of messages recovered without any error after 1 ... N erasure layers, float64 (layers,) (Figure 2a, COD-3, COD-21).

    "none": as many message bits as symbols. "repetition": floor(code_rate * length) bits, sent as often as the length allows, some
    once more than others, and mended from any copy after each layer. "linear": a random linear code over GF(2) of as many bits,
    decoded and encoded again after each layer. "linear once": the same, never corrected on the way, decoded at the end.

    Decoding is exact: an erasure pattern is mended where the surviving columns of the generator matrix have full rank. All kinds
    meet the same erasures for the same seed. A message that is lost once stays lost.
    """
    _check(1, rate)
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r}: must be one of {', '.join(KINDS)}")
    message = math.floor(code_rate * length + 1e-9)
    if not 1 <= message <= length:
        raise ValueError(f"code_rate = {code_rate}: must leave 1 to {length} message bits, leaves {message}")
    if kind.startswith("linear"):
        checks = _packed(linear_code(length, message, seed)[1].T)
    copy_of = torch.arange(length) % message
    generator = torch.Generator().manual_seed(seed)
    alive, lost, shares = torch.ones(trials, dtype=torch.bool), torch.zeros(trials, length, dtype=torch.bool), []
    for _ in range(layers):
        erased = _erased(trials, length, rate, generator)
        if kind in ("none", "linear once"):
            lost |= erased
        if kind == "none":
            alive = ~lost.any(1)
        elif kind == "repetition":
            copies = torch.zeros(trials, message, dtype=torch.int64).index_add_(1, copy_of, (~erased).long())
            alive &= (copies > 0).all(1)
        else:
            pattern = lost if kind == "linear once" else erased
            alive &= torch.from_numpy(_independent(checks, pattern.numpy(), length - message))
        shares.append(alive.double().mean())
    return torch.stack(shares)


def linear_code(length: int, message: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A random systematic code over GF(2): generator matrix bool (message, length) and parity checks bool (length - message, length).

    A word is message bits times the generator, modulo 2; its product with each parity check is even.
    """
    generator = torch.Generator().manual_seed(seed)
    parities = torch.rand(message, length - message, generator=generator) < 0.5
    one, other = (torch.eye(n, dtype=torch.bool) for n in (message, length - message))
    return torch.cat([one, parities], 1), torch.cat([parities.T, other], 1)


def _erased(trials: int, length: int, rate: float, generator: torch.Generator) -> Tensor:
    return torch.rand(trials, length, generator=generator) < rate


def _packed(bits: Tensor) -> np.ndarray:
    """Rows of bits, bool (rows, n), as 64-bit words, uint64 (rows, words)."""
    rows, n = bits.shape
    padded = np.zeros((rows, max(-(-n // 64), 1) * 64), dtype=np.uint8)
    padded[:, :n] = bits.numpy()
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


@numba.njit(cache=True)
def _independent(columns, chosen, bits):
    """Whether the chosen columns, uint64 (n, words) and bool (trials, n), are linearly independent over GF(2): bool (trials,).

    Erased bits are determined by the parity checks where their columns are independent; the same event as full rank of the
    surviving columns of the generator matrix, on a smaller matrix.
    """
    trials, n = chosen.shape
    found = np.ones(trials, np.bool_)
    basis = np.zeros((bits, columns.shape[1]), np.uint64)
    for t in range(trials):
        used = np.zeros(bits, np.bool_)
        for c in range(n):
            if not chosen[t, c]:
                continue
            vector = columns[c].copy()
            dependent = True
            for b in range(bits):
                if (vector[b >> 6] >> np.uint64(b & 63)) & np.uint64(1):
                    if not used[b]:
                        basis[b], used[b], dependent = vector, True, False
                        break
                    vector ^= basis[b]
            if dependent:
                found[t] = False
                break
    return found


def linear_code_spectrum(length: int, message: int, seed: int = 0) -> Tensor:
    """Eigenvalues, falling, of the exact covariance of a real linear [n, k] code, float64 (length,) (Figure 3a, COD-22).

    x = G z, G (n, k) random with orthonormal columns, z independent with variance 1: G G^T, k ones and then zeros.
    """
    draws = torch.randn(length, message, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = torch.linalg.qr(draws).Q
    return torch.linalg.eigvalsh(basis @ basis.T).flip(0)


def dense_spectrum(length: int, seed: int = 0) -> Tensor:
    """The same of a code without redundancy, as many inputs as units: flat."""
    return linear_code_spectrum(length, length, seed)


def parity_code_spectrum(message: int) -> Tensor:
    """Eigenvalues, falling, of a binary code of all n = 2^k - 1 parities of k message bits, float64 (n,).

    The covariance is exact, over all 2^k equally likely messages. Bits are pairwise independent, so that the spectrum is flat
    although k bits determine all n: redundancy beyond pairs leaves no step.
    """
    if not 1 <= message <= 12:
        raise ValueError(f"message = {message}: must be from 1 to 12 bits, the covariance has 2^message rows")
    numbers = np.arange(2**message)
    words = torch.from_numpy(np.bitwise_count(numbers[:, None] & numbers[None, 1:]) % 2).double()
    words -= words.mean(0)
    return torch.linalg.eigvalsh(words.T @ words / len(words)).flip(0)


def discrete_log_table(prime: int, base: int) -> Tensor:
    """The code x -> base^x modulo a prime for x = 0 ... prime - 2, int64 (prime - 1,) (supplement 2.2, COD-23).

    Raises ValueError for a number that is no odd prime below 2^20, and for a base whose powers are not all different.
    """
    if not 3 <= prime < 2**20 or any(prime % d == 0 for d in range(2, math.isqrt(prime) + 1)):
        raise ValueError(f"prime = {prime}: must be an odd prime below 2^20")
    powers = [1]
    for _ in range(prime - 2):
        powers.append(powers[-1] * base % prime)
    if len(set(powers)) < prime - 1 or 0 in powers:
        raise ValueError(f"base = {base}: must be a primitive root modulo {prime}, its powers are not all different")
    return torch.tensor(powers)


def linear_readout(prime: int, base: int) -> tuple[float, float]:
    """How well a linear reader gets x from the bits of x, and from those of base^x modulo a prime: two R².

    The fit is over all prime - 1 messages, at its best: chance is about bits / prime. Both codes hold exactly the same information.
    """
    codes = discrete_log_table(prime, base).numpy()
    messages = np.arange(prime - 1)
    places = np.arange(int(prime).bit_length())

    def r2(words: np.ndarray) -> float:
        bits = words[:, None] >> places & 1
        return float(LinearRegression().fit(bits, messages).score(bits, messages))

    return r2(messages), r2(codes)


def _check(bits: float, rate: float) -> None:
    if not bits > 0:
        raise ValueError(f"bits = {bits}: must be above 0")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate = {rate}: must be from 0 to 1")
