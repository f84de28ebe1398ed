"""Inner Codes: four papers about the codes inside deep networks, as plain functions on tensors."""

from innercodes import _compat  # noqa: F401  (repairs two libraries before anything imports them)

__version__ = "0.1.0"
