"""Labels as models that need them take them."""

from __future__ import annotations

from torch import Tensor


def required_labels(labels: Tensor | None, n: int, model: str) -> Tensor:
    """The labels, int64 ``[n]``, of ``n`` examples.

    Raises:
        ValueError: if there are none, or not one for each example; it names the ``model``.
    """
    if labels is None or labels.shape != (n,):
        found = None if labels is None else tuple(labels.shape)
        raise ValueError(f"{model} takes a label for each of {n} examples, not labels of shape {found}")
    return labels
