"""``python -m genbench.engine.fidelity``: torch-fidelity's command line with genbench's evaluators registered."""

from __future__ import annotations

from typing import Any

from genbench.engine.contract import resolve
from genbench.engine.torchvision_compat import mend
from genbench.plugins import discover
from genbench.specs import EvaluatorSpec
from genbench.supplies import check_weights


def register_evaluators(specs: list[EvaluatorSpec]) -> list[str]:
    """Make evaluators known to torch-fidelity, which then loads them by name with their declared weights.

    Args:
        specs: of any evaluators; those that torch-fidelity has under the same name, and those whose weights do not
            ship, are left alone.

    Returns:
        The names that were registered.
    """
    mend()
    from torch_fidelity import register_feature_extractor
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    registered = []
    for spec in specs:
        if spec.weights and spec.name not in FEATURE_EXTRACTORS_REGISTRY:
            register_feature_extractor(spec.name, _with_declared_weights(spec))
            registered.append(spec.name)
    return registered


def _with_declared_weights(spec: EvaluatorSpec) -> type:
    """The extractor's class as torch-fidelity builds it: by name and layers, with options of its own."""
    base: Any = resolve(spec.factory)

    class Declared(base):  # type: ignore[misc]
        def __init__(self, name: str, features_list: list[str], **_: object) -> None:
            check_weights(spec)
            super().__init__(name, features_list, weights=spec.weights)

    Declared.__name__ = base.__name__
    return Declared


def main() -> None:
    """torch-fidelity's command line; its arguments are those of the process."""
    register_evaluators([entry.spec for entry in discover().evaluators.values()])
    from torch_fidelity.fidelity import main as fidelity

    fidelity()


if __name__ == "__main__":
    main()
