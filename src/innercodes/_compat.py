"""The two repairs that old or mismatched libraries need before they are imported; no-ops where nothing is broken."""

import warnings

import numpy
import torch

# torch drops an operator library that nothing refers to.
_operators: list[torch.library.Library] = []


def repair_torchvision() -> None:
    """Let torchvision import beside a torch build that its C++ operators do not match.

    Declares the two operators whose absence stops the import. `ops.nms` and the other C++ operators stay unusable;
    models, transforms and data sets work. Any other import error is raised as it is.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _operators.append(library)
        import torchvision  # noqa: F401


def repair_pyclustering() -> None:
    """Give numpy the module alias `numpy.warnings` that pyclustering 0.10.1.2 still calls."""
    if not hasattr(numpy, "warnings"):
        numpy.warnings = warnings


repair_torchvision()
repair_pyclustering()
