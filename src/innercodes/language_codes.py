"""The codes of a language model by layer: spectra, and how well single neurons and random projections can be explained.

The measured quantities of COD-16 and COD-17; the claims' tests stand in claims/spectra.yml.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from innercodes import causal, explaining, stats
from innercodes.parameters import Run, refusal
from innercodes.redundancy import estimate, rank_correlation

TRAINED, UNTRAINED, RANDOM = "trained", "untrained", "random tokens"
FEWEST_LAYERS = 12
"""Layers below which two profiles are not compared: five have no power."""


@dataclass(frozen=True)
class Language:
    """A language model read by this lens: networks by kind, what they say, and the texts' tokens as words.

    `alpha` is float64 (layers, 1 + repeats) for each kind, the first from all texts; `scores` has the explanation scores of units,
    float64 (layers, units), for each kind and "neurons" or "projections".
    """

    layers: tuple[int, ...]
    readings: Mapping[str, causal.Reading]
    alpha: Mapping[str, np.ndarray]
    scores: Mapping[str, Mapping[str, np.ndarray]]
    words: tuple[str, ...]


def read(run: Run) -> Language:
    """The run's language model, its untrained twin, and the model on random tokens: readings, alphas and scores.

    Raises ParameterError for models and texts that cannot be read.
    """
    source = run.language_weights or run.language
    model, tokenizer = causal.load(source, run.device)
    positions = model.config.max_position_embeddings
    if run.text_tokens > positions:
        raise refusal("text_tokens", run.text_tokens, f"at most {positions}, all that the language model takes")
    twin, _ = causal.load(source, run.device, untrained_seed=run.seed)
    texts = causal.texts(run.texts, run.data_root, run.seed)[: run.text_count]
    noise = causal.random_tokens(model, len(texts), run.text_tokens, run.seed)
    readings = {
        TRAINED: _reading(model, tokenizer, texts, run),
        UNTRAINED: _reading(twin, tokenizer, texts, run),
        RANDOM: _reading(model, tokenizer, noise, run),
    }
    alpha = {kind: _alphas(reading, run) for kind, reading in readings.items()}
    scores = {kind: _scores(readings[kind], run) for kind in (TRAINED, UNTRAINED)}
    layers = tuple(readings[TRAINED].layers)
    first = readings[TRAINED].tokens[readings[TRAINED].text_index == 0]
    return Language(layers, readings, alpha, scores, tuple(tokenizer.decode([int(token)]) for token in first))


def _reading(model: nn.Module, tokenizer: Any, texts: Any, run: Run) -> causal.Reading:
    # The first token, whatever it is, gets huge activations in many networks.
    return causal.activations(model, tokenizer, texts, "mlp", run.text_tokens, skip=1)


def _alphas(reading: causal.Reading, run: Run) -> np.ndarray:
    found = causal.layer_alphas(reading.layers, reading.text_index, run.seed, run.repeats)
    return np.array([[one.value, *one.replicates.tolist()] for one in found.values()])


def _scores(reading: causal.Reading, run: Run) -> dict[str, np.ndarray]:
    return {
        kind: np.stack(
            [
                explaining.scores(acts, reading.tokens, reading.text_index, min(run.explained, acts.shape[1]), kind, run.seed)
                for acts in reading.layers.values()
            ]
        )
        for kind in explaining.KINDS
    }  # fmt: skip


GPT2_XL_LAYERS = 48
"""What COD-16 looks at."""


def flat_everywhere(found: Language) -> dict[str, Any] | str:
    """COD-16: the smallest alpha over the layers, MLP units after the non-linearity; interval over texts."""
    if len(found.layers) != GPT2_XL_LAYERS:
        return f"{len(found.layers)} layers; the claim is about the {GPT2_XL_LAYERS} of GPT-2 XL."
    least = {kind: rows.min(0) for kind, rows in found.alpha.items()}
    own = estimate(least[TRAINED])
    return {
        "value": own.value,
        "ci": own.interval(),
        "twin": estimate(least[TRAINED] - least[UNTRAINED]),
        "baseline": {kind: float(rows[0]) for kind, rows in least.items() if kind != TRAINED},
        "note": f"{len(found.layers)} layers",
    }


def opposite_profiles(found: Language, run: Run) -> dict[str, Any] | str:
    """COD-17: rank correlation over layers of the mean scores of neurons and of projections; interval over units."""
    if len(found.layers) < FEWEST_LAYERS:
        return f"{len(found.layers)} layers; two profiles are compared over {FEWEST_LAYERS} and more."
    rows = {
        kind: np.stack([scores[name].T for name in explaining.KINDS], -1)[None] for kind, scores in found.scores.items()
    }
    result = stats.compare(rows, _profiles, min(run.bootstrap, 500), run.seed)
    rng = np.random.default_rng(run.seed)
    neurons, projections = (np.nanmean(found.scores[TRAINED][name], 1) for name in explaining.KINDS)
    chance = [rank_correlation(rng.permutation(neurons), projections) for _ in range(2000)]
    permuted = {"layers permuted, 5 % quantile": float(np.quantile(chance, 0.05))}
    return result | {"baseline": result["baseline"] | permuted}


def _profiles(rows: np.ndarray, axis: int) -> np.ndarray:
    """Rank correlation over layers of the two means over units of (..., units, layers, 2), the units at `axis`."""
    means = np.nanmean(np.moveaxis(rows, axis, -3), -3)
    flat = means.reshape(-1, *means.shape[-2:])
    return np.array([rank_correlation(*pair.T) for pair in flat]).reshape(means.shape[:-2])


def smoothest(found: Language, layer: int, run: Run) -> explaining.Projection:
    """Among random 1-D projections of the first text at a layer the one of smallest action (figure 7c)."""
    reading = found.readings[TRAINED]
    return explaining.lowest_action(reading.layers[layer][reading.text_index == 0], run.projections, run.seed)


def metrics(found: Language) -> dict[str, Any]:
    """What the record keeps: alphas and mean scores by layer, no text."""
    return {
        "layers": list(found.layers),
        "alpha": {kind: rows[:, 0].tolist() for kind, rows in found.alpha.items()},
        "scores": {
            kind: {name: np.nanmean(values, 1).tolist() for name, values in rows.items()}
            for kind, rows in found.scores.items()
        },
        "tokens": len(torch.as_tensor(found.readings[TRAINED].tokens)),
    }
