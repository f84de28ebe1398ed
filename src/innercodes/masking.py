"""What a network says when some of its inputs are masked: all 2^n coalitions, streamed."""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from innercodes.coalitions import coalitions


def masked_outputs(
    score: Callable[[Tensor], Tensor],
    n: int,
    chunk: int = 64,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> Tensor:
    """Outputs of a network for all 2^n masked inputs, without gradients.

    `score` maps masks, bool (m, n) with True = the player is shown, to outputs (..., m). At most `chunk` masks are scored
    at once, so that memory beyond the result does not grow with 2^n. Returns (..., 2^n) on the device of the scores.
    """
    masks = coalitions(n, device)
    result = None
    with (
        torch.no_grad(),
        tqdm(total=2**n, unit="mask", desc="masked outputs", mininterval=1, disable=not progress) as bar,
    ):
        for start in range(0, 2**n, chunk):
            scores = score(masks[start : start + chunk])
            if result is None:
                result = scores.new_empty((*scores.shape[:-1], 2**n))
            result[..., start : start + chunk] = scores
            bar.update(scores.shape[-1])
    return result
