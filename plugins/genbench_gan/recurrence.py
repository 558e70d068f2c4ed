"""Gated recurrent units unrolled by hand: few operations a step, since the steps wait for each other.

The unit (Cho et al. 2014, arXiv:1406.1078) in cuDNN's form: with a what comes from outside and p = W h + b,

    r = sigmoid(a_r + p_r),    u = sigmoid(a_u + p_u),    c = tanh(a_c + r p_c),    h' = (1 - u) c + u h.

Backwards, the gradient of each gate's argument is that of h' times a factor of the forward pass alone. So the factors
of all steps are found at once, as are the gradients of the weights, and a step is left with one product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def unroll(outside: Tensor, first: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Hidden states after each step, float32 ``[T, B, W]``, differentiable once; in float32 under autocast too, since
    rounding would add up over the steps.

    Args:
        outside: what comes from outside the layer, ``[T, B, 3 W]``: of r, u and c in this order.
        first: hidden state before the first step, ``[B, W]``.
        weight, bias: ``[3 W, W]`` and ``[3 W]``.
    """
    with torch.autocast(outside.device.type, enabled=False):
        return _Unrolled.apply(outside.float(), first.float(), weight, bias)


class Steps:
    """The forward pass, step by step.

    Args:
        count: T, the number of steps.
        first, weight, bias: as for :func:`unroll`, in float32.

    Attributes:
        hidden: ``[T + 1, B, W]``, with the state before the first step.
        gates: r, u and the c part of p, ``[T, B, 3 W]``.
        candidate: c, ``[T, B, W]``.
    """

    def __init__(self, count: int, first: Tensor, weight: Tensor, bias: Tensor) -> None:
        batch, self._width = first.shape
        self._weight, self._bias = weight.t(), bias
        self.hidden = first.new_empty(count + 1, batch, self._width)
        self.hidden[0] = first
        self.gates = first.new_empty(count, batch, 3 * self._width)
        self.candidate = first.new_empty(count, batch, self._width)
        # All views at once: one by one they cost as much as the arithmetic.
        shares, (reset, update, product) = self.gates[..., : 2 * self._width], self.gates.chunk(3, dim=2)
        views = (self.gates, shares, reset, update, product, self.candidate, self.hidden[:-1], self.hidden[1:])
        self._views = list(zip(*(view.unbind() for view in views), strict=True))

    def advance(self, place: int, outside: Tensor) -> Tensor:
        """The hidden state after step ``place``, ``[B, W]``, for ``outside`` ``[B, 3 W]``."""
        gates, shares, reset, update, product, candidate, before, after = self._views[place]
        of_shares, of_candidate = outside.split([2 * self._width, self._width], dim=1)
        torch.addmm(self._bias, before, self._weight, out=gates)
        shares.add_(of_shares).sigmoid_()
        torch.addcmul(of_candidate, reset, product, out=candidate).tanh_()
        return torch.lerp(candidate, before, update, out=after)


class Rewind:
    """The backward pass, from the last step to the first.

    Args:
        hidden, gates, candidate: of the forward pass; see :class:`Steps`.
        weight: as for :func:`unroll`.

    Attributes:
        of_outside: gradients of what came from outside, ``[T, B, 3 W]``; each valid after its :meth:`step`.
    """

    def __init__(self, hidden: Tensor, gates: Tensor, candidate: Tensor, weight: Tensor) -> None:
        self._before, self._width = hidden[:-1], hidden.shape[2]
        # Rows of c, r and u in this order, as below.
        self._weight = weight.roll(self._width, dims=0)
        reset, update, product = gates.chunk(3, dim=2)
        slope = (1.0 - update) * (1.0 - candidate.square())  # of h' by the argument of c
        by_product = slope * reset
        by_reset = by_product * (1.0 - reset) * product
        by_update = (self._before - candidate) * update * (1.0 - update)
        # The first three are of h' by p, the last three by what comes from outside.
        factors = torch.stack([by_product, by_reset, by_update, slope], dim=2)  # [T, B, 4, W]
        self._gradients = torch.empty_like(factors)
        flat = self._gradients.flatten(2)  # [T, B, 4 W]
        self._of_products = flat[..., : 3 * self._width]
        self.of_outside = flat[..., self._width :]
        views = (factors, self._gradients, self._of_products, update)
        self._views = list(zip(*(view.unbind() for view in views), strict=True))

    def step(self, place: int, gradient: Tensor) -> None:
        """Take the gradient of the hidden state after step ``place``, ``[B, W]``, in all."""
        factors, gradients, _, _ = self._views[place]
        torch.mul(gradient.unsqueeze(1), factors, out=gradients)

    def carried(self, place: int, gradient: Tensor) -> Tensor:
        """What comes to the gradient of the hidden state before step ``place`` by that step, ``[B, W]``, after
        :meth:`step` with the same gradient."""
        _, _, of_products, update = self._views[place]
        return (gradient * update).addmm_(of_products, self._weight)

    def of_weights(self) -> tuple[Tensor, Tensor]:
        """Gradients of weight and bias; after all steps."""
        flat = self._of_products.flatten(0, 1)  # [T B, 3 W]
        of_weight, of_bias = flat.t() @ self._before.flatten(0, 1), flat.sum(dim=0)
        return of_weight.roll(-self._width, dims=0), of_bias.roll(-self._width)


class _Unrolled(Function):
    """:func:`unroll`."""

    @staticmethod
    def forward(ctx: Any, outside: Tensor, first: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        steps = Steps(len(outside), first, weight, bias)
        for place, each in enumerate(outside.unbind()):
            steps.advance(place, each)
        ctx.save_for_backward(steps.hidden, steps.gates, steps.candidate, weight)
        return steps.hidden[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor, ...]:
        with torch.autocast(gradients.device.type, enabled=False):
            rewind, gradient = Rewind(*ctx.saved_tensors), gradients[-1]
            for place in reversed(range(len(gradients))):
                rewind.step(place, gradient)
                carried = rewind.carried(place, gradient)
                gradient = carried + gradients[place - 1] if place > 0 else carried
            return rewind.of_outside, gradient, *rewind.of_weights()
