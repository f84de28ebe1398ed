"""Sentences as pictures, so that the lens on pictures and its attacks take them: a row for each word, its values a word vector.

The vectors come from the words' neighbours alone, the mutual information of being neighbours and its principal axes (Levy &
Goldberg 2014). They know no labels, so that an untrained network on them has learned nothing of the classes.
"""

import numpy as np
import torch
from scipy.sparse import coo_matrix
from sklearn.decomposition import TruncatedSVD
from torch import Tensor

from innercodes import data, text
from innercodes.parameters import Run
from innercodes.pictures import Pictures

CHANNELS, WIDTH = 4, 8
"""The 32 values of a word vector are a row of 8 in each of 4 channels."""


def word_vectors(tokens: Tensor, size: int, window: int = 4, seed: int = 0) -> Tensor:
    """Vectors of the words in sentences int64 (N, L), in which `text.PADDING` is no word: float32 (largest token + 1, size).

    The positive pointwise mutual information of a word and those at most `window` places away, on its first principal axes,
    each divided by the root of its strength (scikit-learn's TruncatedSVD). A word without neighbours has zeros.
    """
    rows = tokens.numpy()
    shifted = [(rows[:, :-apart].ravel(), rows[:, apart:].ravel()) for apart in range(1, window + 1)]
    left, right = (np.concatenate(side) for side in zip(*shifted, strict=True))
    words = (left != text.PADDING) & (right != text.PADDING)
    left, right = left[words], right[words]
    size_of = (int(rows.max()) + 1,) * 2
    both = np.concatenate([left, right]), np.concatenate([right, left])
    counts = coo_matrix((np.ones(len(both[0])), both), size_of).tocsr().tocoo()
    margin = np.bincount(both[0], minlength=size_of[0])
    information = np.log(counts.data * len(both[0]) / (margin[counts.row] * margin[counts.col])).clip(min=0)
    positive = coo_matrix((information, (counts.row, counts.col)), size_of).tocsr()
    axes = TruncatedSVD(size, random_state=seed).fit(positive)
    strength = axes.singular_values_.clip(min=np.finfo(float).tiny)
    return torch.from_numpy(positive @ axes.components_.T / np.sqrt(strength)).float()


def as_pictures(tokens: Tensor, vectors: Tensor) -> Tensor:
    """Tokens int64 (N, L) with vectors (words, 32) as float32 (N, 4, L, 8); row t holds word t, channel after channel."""
    return vectors[tokens].unflatten(-1, (CHANNELS, WIDTH)).transpose(1, 2).contiguous()


def sst2(run: Run, learned: int, unseen: int) -> tuple[Pictures, Pictures]:
    """Phrases of film reviews below `data_root`, as `text.sst2_tokens` reads them: to learn from, and others, at most so many.

    Drawn as evenly over the two classes as they allow. Vectors are spread over [0, 1] by the 1 % and 99 % points of each value;
    padding is 0.5 throughout.
    """
    parts = text.sst2_tokens(run)
    vectors = word_vectors(parts[0].inputs, CHANNELS * WIDTH, seed=run.seed)
    words = vectors[text.UNKNOWN :]
    low, high = words.quantile(0.01, 0), words.quantile(0.99, 0)
    vectors = ((vectors - low) / (high - low)).clip(0, 1)
    vectors[text.PADDING] = 0.5
    found = []
    for part, most in zip(parts, (learned, unseen), strict=True):
        generator = torch.Generator().manual_seed(run.seed)
        picked = data.balanced(part.labels, min(most, len(part.labels)), generator).sort().values
        inputs = as_pictures(part.inputs[picked], vectors)
        rows = torch.arange(len(picked))
        found.append(Pictures(inputs.__getitem__, rows, part.labels[picked], part.classes, part.classes))
    return found[0], found[1]
