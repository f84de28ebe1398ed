"""As many rows at once as a GPU has memory for."""

import warnings
from collections.abc import Callable

import torch


class Chunks:
    """Goes over rows in chunks; where a GPU runs out of memory they are half as large from then on, with a warning."""

    def __init__(self, what: str, size: int):
        """`what` is the word for rows in the warning, `size` the rows of a chunk at first. Raises ValueError for a size below 1."""
        if size < 1:
            raise ValueError(f"chunk = {size}: must be at least 1")
        self.what, self.size = what, size

    def over(self, count: int, function: Callable[[slice], None]) -> None:
        """Call `function` with slices that cover 0 ... count - 1 in order; one that runs out of memory is called again for less.

        So it must leave nothing behind that a second call would not overwrite. Raises OutOfMemoryError where one row is too many.
        """
        start = 0
        while start < count:
            rows = slice(start, min(start + self.size, count))
            try:
                function(rows)
            except torch.OutOfMemoryError:
                if rows.stop - rows.start == 1:
                    raise
                self.size = (rows.stop - rows.start) // 2
                warnings.warn(f"out of GPU memory: going on with {self.size} {self.what} at once", stacklevel=3)
                torch.cuda.empty_cache()
            else:
                start = rows.stop
