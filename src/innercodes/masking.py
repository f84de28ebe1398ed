"""What a network says when some of its inputs are masked: all 2^n coalitions, streamed."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tqdm import tqdm

from innercodes.coalitions import require_memory
from innercodes.memory import Chunks

# What the largest single operation of a chunk may read and write on a CPU. Measured on convolutional networks and MLPs:
# times are flat from 1 to 8 MiB and two to four times longer where the maps of a chunk fall out of the cache (32 MiB).
_CACHE_BYTES = 4 * 2**20
_GPU_SHARE = 1 / 16  # of the memory of a GPU, for the same; of all of it, not the free part, so that it stays the same
_OTHER_BYTES = 256 * 2**20
_SMALLEST, _LARGEST, _LARGEST_GPU = 4, 16384, 65536


def masked_outputs(
    score: Callable[[Tensor], Tensor],
    n: int,
    chunk: int | None = None,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Tensor:
    """Outputs of a network for all 2^n masked inputs, without gradients.

    `score` maps masks, bool (m, n) with True = the player is shown, to outputs (..., m). At most `chunk` masks are scored
    at once (None: `fitting_chunk`), so that memory beyond the result does not grow with 2^n; a GPU that runs out of memory
    halves it, with a warning. Returns (..., 2^n) on the device of the scores. Raises ValueError (n or chunk < 1, scores of
    another length) and MemoryError (the result would not fit).
    """
    if n < 1:
        raise ValueError(f"n = {n}: a game needs at least 1 player")
    require_memory(n, bytes_each=1)  # the least there is, before any network runs
    result = None
    with (
        torch.no_grad(),
        tqdm(total=2**n, unit="mask", desc="masked outputs", mininterval=1, disable=not progress) as bar,
    ):

        def fill(rows: slice) -> None:
            nonlocal result
            masks = masks_at(rows.start, rows.stop, n, device)
            scores = score(masks)
            if scores.shape[-1:] != masks.shape[:1]:
                raise ValueError(
                    f"{len(masks)} masks gave scores of shape {tuple(scores.shape)}; needed (..., {len(masks)})"
                )
            if result is None:
                if scores.device.type == "cpu":
                    require_memory(n, bytes_each=scores[..., 0].numel() * scores.element_size())
                result = scores.new_empty((*scores.shape[:-1], 2**n))
            result[..., rows] = scores
            bar.update(len(masks))

        Chunks("masks", fitting_chunk(score, n, device) if chunk is None else chunk).over(2**n, fill)
    return result


def masks_at(start: int, stop: int, n: int, device: torch.device | str = "cpu") -> Tensor:
    """Rows start ... stop - 1 of `coalitions(n)`, bool (stop - start, n), without the others."""
    numbers = torch.arange(start, stop, device=device).unsqueeze(1)
    return (numbers >> torch.arange(n, device=device) & 1).bool()


def fitting_chunk(score: Callable[[Tensor], Tensor], n: int, device: torch.device | str = "cpu") -> int:
    """How many masks to score at once: the largest power of two whose largest operation fits the cache, at least 4.

    On a GPU: fits a share of its memory. Counts bytes in two small calls of `score` and takes no time, so that the same
    code on the same machine always gets the same chunk, and with it the same last bits.
    """
    if 2**n <= _SMALLEST:
        return 2**n
    device = torch.device(device)
    budget, largest = _CACHE_BYTES, _LARGEST
    if device.type == "cuda":
        budget, largest = _GPU_SHARE * torch.cuda.get_device_properties(device).total_memory, _LARGEST_GPU
    elif device.type != "cpu":
        budget = _OTHER_BYTES
    # What grows from two masks to four belongs to the masks; weights do not.
    with torch.no_grad(), _WorkingSets() as two:
        score(masks_at(0, 2, n, device))
    with torch.no_grad(), _WorkingSets() as four:
        score(masks_at(0, 4, n, device))
    if len(two.sizes) == len(four.sizes):
        each = max((b - a for a, b in zip(two.sizes, four.sizes, strict=True)), default=0) / 2
    else:
        each = max(four.sizes) / 4
    fitting = 2 ** int(math.log2(max(budget / max(each, 1), 1)))
    return min(max(fitting, _SMALLEST), largest, 2**n)


class _WorkingSets(TorchDispatchMode):
    """Records the bytes that each operation reads and writes; views move none."""

    def __init__(self):
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
            # An expanded tensor lies in memory once.
            self.sizes.append(sum(min(t.nbytes, t.untyped_storage().nbytes()) for t in tensors))
        return result
