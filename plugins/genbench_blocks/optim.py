"""An optimiser's state in the form that the core stores: nested dicts with string keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

Plain = (bool, int, float, str, type(None), Tensor)


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """The moments and step counters of an optimiser, and the plain settings of its parameter groups.

    ``Optimizer.state_dict`` keys its state by integers and holds lists and tuples, none of which the contract of
    :meth:`genbench.model.Model.state_dict` allows. Settings that are tuples, such as Adam's ``betas``, are left out:
    they come back from the constructor. Tensors are the optimiser's own, not copies, as in ``Module.state_dict``.

    Returns:
        ``{"state": {"0": {"step": ..., "exp_avg": ...}, ...}, "groups": {"0": {"lr": ..., ...}, ...}}``; parameters
        and groups are numbered in the optimiser's order, and a parameter that was never updated has no entry.
    """
    packed = optimizer.state_dict()
    groups = [
        {key: value for key, value in group.items() if key != "params" and isinstance(value, Plain)}
        for group in packed["param_groups"]
    ]
    return {
        "state": {str(index): dict(slots) for index, slots in packed["state"].items()},
        "groups": {str(index): settings for index, settings in enumerate(groups)},
    }


def load_optimizer_state(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Make ``optimizer`` the one that gave ``state``. The tensors are copied, to the device of their parameters.

    Args:
        optimizer: built over parameters of the same shapes in the same order.
        state: what :func:`optimizer_state` returned.

    Raises:
        ValueError: if the number of groups or the shape of a moment does not fit the optimiser's parameters.
        KeyError: if ``state`` has no ``state`` or no ``groups``.
    """
    packed = optimizer.state_dict()
    groups, slots = state["groups"], state["state"]
    if len(groups) != len(packed["param_groups"]):
        raise ValueError(f"optimiser state of {len(groups)} parameter groups for one of {len(packed['param_groups'])}")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, moments in slots.items():
        _check_fits(index, moments, parameters)

    for index, group in enumerate(packed["param_groups"]):
        group.update(groups[str(index)])
    # load_state_dict keeps a tensor that is already of the right type and device: without a copy, training on
    # would change the caller's state.
    packed["state"] = {
        int(index): {key: _copy(value) for key, value in moments.items()} for index, moments in slots.items()
    }
    optimizer.load_state_dict(packed)


def _check_fits(index: str, moments: Mapping[str, Any], parameters: list[Tensor]) -> None:
    if int(index) >= len(parameters):
        raise ValueError(f"optimiser state of parameter {index}, where there are {len(parameters)} parameters")
    shape = parameters[int(index)].shape
    for key, value in moments.items():
        # Counters are 0-d; all other tensors of torch's elementwise optimisers are as large as their parameter.
        if isinstance(value, Tensor) and value.dim() > 0 and value.shape != shape:
            raise ValueError(
                f"optimiser state {key!r} of parameter {index} has shape {list(value.shape)}, "
                f"where the parameter has {list(shape)}"
            )


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
