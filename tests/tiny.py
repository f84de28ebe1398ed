"""The smallest run of each chapter that still goes through every cell."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TINY = {
    "02_sparse_interactions": {"epochs": 3, "n_samples": 12, "n_seeds": 2, "bootstrap": 100, "progress": "off"},
}
