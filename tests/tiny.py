"""The smallest run of each chapter that still goes through every cell."""

from pathlib import Path

from repro import TIMED  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "01_symbols": {
        "n_seeds": 2, "bootstrap": 100, "progress": "off", "shipped": False, "size": 32, "trained_on": 160, "epochs": 2,
        "fitted": 32, "unseen": 48, "beyond_known": 120, "permutations": 19, "shot_draws": 2, "attack_steps": 2,
        "attack_samples": 8, "evasion_weights": "0 1", "replaced": 4, "universes": 1, "beyond": "resnet20", "retrained_epochs": 4,
        "domain": "wine", "domain_samples": 60, "layout_steps": 40,
    },
    "02_sparse_interactions": {
        "epochs": 3, "n_samples": 12, "n_seeds": 2, "bootstrap": 100, "progress": "off",
        "fit_samples": 6, "fit_iterations": 20, "panel": "digits/cnn", "panel_samples": 4, "fine_players": 12,
        "fine_samples": 2, "attack_samples": 4, "attack_steps": 2, "planted": 3, "sampled_masks": 100,
    },
    "03_functional_telescope": {
        "epochs": 2, "n_seeds": 2, "bootstrap": 100, "progress": "off", "model": "resnet8", "fitted": 120, "unseen": 60,
        "grid": 6, "grids": "4 6", "sigma": 3.0, "som_epochs": 1, "batch_size": 10, "best_units": 4, "repeats": 3, "surrogates": 3,
        "attack_steps": 2, "attack_samples": 20, "flip_steps": 2, "partner": "resnet20", "stitch_samples": 40,
        "stitch_epochs": 1, "beyond": "rows_lstm",
    },
    "04_coding_spectra": {
        "n_seeds": 2, "bootstrap": 100, "progress": "off", "shipped": False, "width": 8, "epochs": 1, "rates": "0 0.6",
        "reference": 0.6, "trained_on": 120, "pictures": 240,
        "columns": 120, "frames": 16, "projections": 40, "repeats": 3, "toy_features": 20, "toy_hidden": 4, "toy_sparsities": 5,
        "toy_steps": 20, "correcting_steps": 20, "widths": "8 10", "growing_epochs": 1, "messages": 20, "text_count": 20,
        "explained": 3, "classifiers": "resnet8", "classifier_epochs": 1,
    },
    "05_four_lenses": {
        "n_seeds": 1, "bootstrap": 100, "progress": "off", "shipped": False, "size": 32, "trained_on": 160, "beyond": "none",
        "retrained_epochs": 2, "stages": "layer1 layer3", "fitted": 32, "unseen": 110, "read": 40, "beyond_known": 4,
        "map_from": "label", "permutations": 19, "symbol_count": 6, "grid": 4, "sigma": 2.0, "som_epochs": 1, "batch_size": 10,
        "best_units": 4, "columns": 60, "window": "5 20", "frames": 16, "projections": 20, "repeats": 3, "n_players": 4, "samples": 6,
        "attack_steps": 2, "warned": 4, "units": 8, "active": 2, "sparse_steps": 30, "layout_steps": 40,
    },
}  # fmt: skip
