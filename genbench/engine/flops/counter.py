"""A context that counts the FLOPs of what torch dispatches in it, and names heavy operations that it cannot count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genbench.engine.flops import factorisations, formulas
from genbench.engine.flops.heavy import is_heavy

Count = Callable[[tuple[Any, ...], Any], int]

PLAIN = torch._C._disabled_torch_dispatch_impl
"""What a class of tensors has in place of a dispatch of its own."""
NESTED = frozenset({torch.ops.aten._native_multi_head_attention, torch.ops.aten._transformer_encoder_layer_fwd})
"""Operations whose formulas read the shapes of nested tensors too."""


class FlopCounter(TorchDispatchMode):
    """Counts FLOPs, 2 for a multiply-add, of all that torch dispatches in the context, backward passes included.

    Torch's own ``FlopCounterMode`` also keeps track of modules, which makes a step of a small model two to three times
    as long, and its formulas are silent on several operations and wrong on one: see ``formulas`` beside this module.
    What is dispatched in other threads than this one and autograd's is not seen.

    Attributes:
        flops: the count so far.
        uncounted: names of the operations that ran, have no formula, and could be a real part of the work.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.uncounted: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        for kind in types:
            if kind.__torch_dispatch__ is not PLAIN:
                # A tensor subclass first says in plain tensors what it stands for; those operations come here then.
                return NotImplemented
        known = _RULES.get(id(func))
        rule = _learn(func) if known is None else known[1]
        if (isinstance(rule, str) or (rule is None and torch.is_inference_mode_enabled())) and _may_decompose(
            func, args
        ):
            # In inference mode, and from within a subclass, a composite (linear, say) arrives whole.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if rule is None:
            return result
        if isinstance(rule, str):
            self.uncounted.add(rule)
        elif _is_nested(args) and func._overloadpacket not in NESTED:
            self.uncounted.add(f"{_name(func._overloadpacket)} of nested tensors")
        else:
            self.flops += rule(args, result)
        return result


_RULES: dict[int, tuple[Any, Any]] = {}
"""By id, each operation met so far and what to do with it: a formula, the name under which it is uncounted, or None for
nothing. The hash of an operation is computed in Python and slow; held here, none gives its id to another."""


def _learn(func: Any) -> Count | str | None:
    rule = _rule_of(getattr(func, "_overloadpacket", func))  # an operator of a higher order has no overloads
    _RULES[id(func)] = func, rule
    return rule


def _rule_of(packet: Any) -> Count | str | None:
    own = formulas.FORMULAS.get(packet) or factorisations.FORMULAS.get(packet)
    if own is not None:
        return own
    if packet in flop_registry:
        of_torch = flop_registry[packet]
        return lambda args, out: int(of_torch(*args, out_val=out))
    return _name(packet) if is_heavy(packet) else None


def _name(packet: Any) -> str:
    """``aten.linalg_eig``; an operator of a higher order, or a plain function, has its own name only."""
    qualified = getattr(packet, "_qualified_op_name", None)
    return str(getattr(packet, "__name__", packet)) if qualified is None else qualified.replace("::", ".")


def _may_decompose(func: Any, args: tuple[Any, ...]) -> bool:
    """Nested tensors have kernels of their own where others have a composite, which would fail on them."""
    return hasattr(func, "decompose") and not _is_nested(args)


def _is_nested(args: tuple[Any, ...]) -> bool:
    return bool(args) and getattr(args[0], "is_nested", False)
