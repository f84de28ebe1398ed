"""Coalitions of players, numbered in binary: row `s` holds player `i` when bit `i` of `s` is set."""

import psutil
import torch
from torch import Tensor


def coalitions(n: int, device: torch.device | str = "cpu") -> Tensor:
    """All subsets of `n` players: bool (2^n, n). Raises ValueError (n < 1) and MemoryError (they would not fit)."""
    if n < 1:
        raise ValueError(f"n = {n}: a game needs at least 1 player")
    require_memory(n, bytes_each=n + 16)
    numbers = torch.arange(2**n, device=device)
    members = torch.empty((2**n, n), dtype=torch.bool, device=device)
    for i in range(n):
        members[:, i] = numbers >> i & 1
    return members


def require_memory(n: int, bytes_each: int) -> None:
    """Raise MemoryError, with the size it would take, when 2^n entries of `bytes_each` do not fit in free memory."""
    needed, free = bytes_each * 2**n, psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(
            f"n = {n} players need {needed / 2**30:,.1f} GiB (2^{n} coalitions); {free / 2**30:,.1f} GiB are free"
        )


def orders(n: int, device: torch.device | str = "cpu") -> Tensor:
    """Number of players of each coalition, int64 (2^n,)."""
    return coalitions(n, device).sum(-1)


def players(outputs: Tensor) -> int:
    """The n behind a last axis of length 2^n. Raises ValueError for any other length."""
    length = outputs.shape[-1]
    n = length.bit_length() - 1
    if length != 2**n or n < 1:
        raise ValueError(f"the last axis has {length} entries; it must be a power of two, 2^n for n players")
    return n
