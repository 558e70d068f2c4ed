"""What models of one trained network share: AdamW's steps, the Polyak average that follows them, and the state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from genbench_blocks.descent import Descent
from genbench_blocks.ema import EMA


class Settings(Protocol):
    """The part of a model's configuration that is read here.

    Attributes:
        lr, weight_decay, clip: of :class:`genbench_blocks.descent.Descent`.
        ema_half_life: of the weights' average, as a share of the images seen so far, above 0.
    """

    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def ema_half_life(self) -> float: ...


class AveragedModel:
    """The base of a model whose one network is trained by :class:`Descent` and used by its :class:`EMA`.

    Args:
        net: what is trained, on its device.
        settings: the model's configuration.
        beta2: decay of AdamW's second moments a step.

    Attributes:
        net: as given.
        ema: ``ema.average`` is the network to sample from and to score by.
        descent: the optimiser.
    """

    def __init__(self, net: nn.Module, settings: Settings, beta2: float = 0.99) -> None:
        self.net = net
        self.ema = EMA(net, rampup=settings.ema_half_life)
        self.descent = Descent(net, settings.lr, settings.weight_decay, settings.clip, beta2)

    def descend(self, loss: Tensor, progress: float, images: int) -> None:
        """One update of the network and of its average.

        Args:
            loss: 0-d, of ``net``.
            progress: share of the budget that is spent, in [0, 1).
            images: examples that the loss was computed on, 1 or more.
        """
        self.descent.step(loss, progress)
        self.ema.update(self.net, images)

    def state_dict(self) -> dict[str, Any]:
        """``{"net": ..., "ema": ..., "optimizer": ...}``; tensors are not copied."""
        return {
            "net": dict(self.net.state_dict()),
            "ema": self.ema.state_dict(),
            "optimizer": self.descent.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Raises:
            KeyError, RuntimeError, ValueError: if the state is not one of such a model.
        """
        self.net.load_state_dict(state["net"])
        self.ema.load_state_dict(state["ema"])
        self.descent.load_state_dict(state["optimizer"])
