"""Training FLOPs, as torch dispatched them: counted by the core, never declared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genbench.engine.rng import stable_seed

FIRST_STEPS = 16
ONE_IN = 128


class FlopMeter:
    """Counts some steps and charges the running mean for the others.

    Steps 0-15 are counted, then about one in 128, chosen by a hash of (seed, step): a counted step takes about
    half as long again, and steps differ (critic steps, lazy penalties), so neither all nor one would do.

    Args:
        seed: the run's seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counted = 0
        self._sum = 0.0
        self._last: float | None = None

    def counts(self, step: int) -> bool:
        """Whether this step is counted."""
        return step < FIRST_STEPS or stable_seed(self._seed, "train", "flops", step) % ONE_IN == 0

    @contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Wrap one training step."""
        if not self.counts(step):
            self._last = None
            yield
            return
        with FlopCounter() as counter:
            yield
        self._last = float(counter.flops)
        self._counted += 1
        self._sum += self._last

    @property
    def charge(self) -> float:
        """FLOPs of the step just taken: its count, or the mean of the counted ones."""
        return self._sum / self._counted if self._last is None else self._last


class FlopCounter(TorchDispatchMode):
    """A context that counts the FLOPs (2 for a multiply-add) of all that torch dispatches in it.

    The formulas are those of ``torch.utils.flop_counter``. Its own ``FlopCounterMode`` also keeps track of modules,
    which makes a step of a small model two to three times as long; this one adds about half.

    Attributes:
        flops: the count so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(getattr(func, "_overloadpacket", None))  # a higher-order operator has none
        if formula is None and torch.is_inference_mode_enabled() and hasattr(func, "decompose"):
            # Without autograd's own decomposition a composite (linear, say) arrives whole.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=result)
        return result
