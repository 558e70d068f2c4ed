"""Makes torchvision importable where its native library does not fit the installed torch.

torchvision's wheels on PyPI are built for torch with CUDA. Beside a CPU-only torch their library fails to load,
the operators ``torchvision::nms`` and ``torchvision::qnms`` stay undefined, and ``import torchvision`` ends in
"operator torchvision::nms does not exist", since it describes the shapes of both to torch's tracer. Declaring
the two signatures first is enough for everything that does not call them; torchvision itself refuses such a call.
torch-fidelity imports torchvision, so this comes before it.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
"""Signatures as in torchvision/csrc/ops/nms.cpp and quantized/cpu/qnms_kernel.cpp."""

_declared: list[torch.library.Library] = []  # torch forgets a declaration when its Library object goes


def mend() -> bool:
    """Declare torchvision's operators, only where its native library cannot be loaded. May be called repeatedly.

    Returns:
        Whether this process now runs on the declarations instead of the library.
    """
    if _declared:
        return True
    if "torchvision" in sys.modules or _native_library_loads():
        return False
    missing = [schema for name, schema in SCHEMAS.items() if not hasattr(torch.ops.torchvision, name)]
    if missing:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in missing:
            library.define(schema)
        _declared.append(library)
    return bool(missing)


def _native_library_loads() -> bool:
    """Load torchvision's library as torchvision itself is about to; True also where there is no torchvision."""
    package = find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return True
    library = PathFinder.find_spec("_C", list(package.submodule_search_locations))
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except (ImportError, OSError):
        return False
    return True
