"""An optimiser's moments in the form that genbench stores: nested dicts with string keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer


def optimizer_state(optimizer: Optimizer) -> dict[str, dict[str, Any]]:
    """``{"0": {"step": ..., "exp_avg": ..., ...}, ...}``: a parameter's number in the optimiser to its moments.

    Learning rates are left out, since the model sets them before each step.
    """
    return {str(index): dict(moments) for index, moments in optimizer.state_dict()["state"].items()}


def load_optimizer_state(optimizer: Optimizer, state: Mapping[str, Mapping[str, Any]]) -> None:
    """Make ``optimizer`` go on from what :func:`optimizer_state` returned; tensors are copied.

    Raises:
        ValueError: if a moment does not fit its parameter.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, moments in state.items():
        if int(index) >= len(parameters) or moments["exp_avg"].shape != parameters[int(index)].shape:
            raise ValueError(f"the optimiser's state number {index} does not fit the model's parameters")
    whole = optimizer.state_dict()
    whole["state"] = {
        int(index): {key: value.clone() for key, value in moments.items()} for index, moments in state.items()
    }
    optimizer.load_state_dict(whole)
