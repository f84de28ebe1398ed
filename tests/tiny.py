"""The smallest run of each chapter that still goes through every cell."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "02_sparse_interactions": {
        "epochs": 3, "n_samples": 12, "n_seeds": 2, "bootstrap": 100, "progress": "off",
        "fit_samples": 6, "fit_iterations": 20, "panel": "digits/cnn", "panel_samples": 4, "fine_players": 12,
        "fine_samples": 2, "attack_samples": 4, "attack_steps": 2, "planted": 3, "sampled_masks": 100,
    },
}  # fmt: skip
