"""Words written letter by letter by a gated recurrent unit that is told its last letter, with gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu_

from genbench_gan.recurrence import Rewind, Steps

PADDING, END = 0, 1
NEVER = 1e9
"""More than any logit: its negative is the noise of a letter that cannot come."""
SLOPE = 0.2
"""Of the leaky ReLU before the logits."""


class Writer(NamedTuple):
    """The weights of :func:`write`, for units of width W and F letters.

    Attributes:
        recurrent, recurrent_bias: of the unit, ``[3 W, W]`` and ``[3 W]``.
        previous: what the last letter adds to the gates, ``[3 W, F]``.
        inner, inner_bias, out, out_bias: of the two layers from the hidden state to the logits, ``[W, W]``, ``[W]``,
            ``[F, W]`` and ``[F]``.
    """

    recurrent: Tensor
    recurrent_bias: Tensor
    previous: Tensor
    inner: Tensor
    inner_bias: Tensor
    out: Tensor
    out_bias: Tensor


def write(outside: Tensor, first: Tensor, noise: Tensor, temperature: float, writer: Writer) -> Tensor:
    """Letters one-hot, float32 ``[T, B, F]``, in float32 under autocast too.

    A letter is the largest of its logits plus noise, hence an exact draw (Gumbel-max). Generation stops at the end
    symbol: padding follows it, and comes nowhere else. Backwards a letter that is drawn is the softmax of the same sums
    at a temperature: the straight-through Gumbel-softmax estimator (Jang et al. 2017, arXiv:1611.01144, section 2.2).
    Padding is a constant, and whether a word goes on is one, too.

    Args:
        outside: what place and code add to the gates, ``[T, B, 3 W]``.
        first: the hidden state before the first step, ``[B, W]``.
        noise: standard Gumbel variables, ``[T, B, F]``.
        temperature: of the softmax; above 0.
        writer: the weights.
    """
    with torch.autocast(outside.device.type, enabled=False):
        return _Written.apply(outside.float(), first.float(), noise, temperature, *writer)


class _Written(Function):
    """:func:`write`."""

    @staticmethod
    def forward(
        ctx: Any, outside: Tensor, first: Tensor, noise: Tensor, temperature: float, *weights: Tensor
    ) -> Tensor:
        w = Writer(*weights)
        steps = Steps(len(outside), first, w.recurrent, w.recurrent_bias)
        inner, out, previous = w.inner.t(), w.out.t(), w.previous.t()
        sums = noise + w.out_bias
        sums[:, :, PADDING] = -NEVER
        # Row k is letter k: looked up, one-hot vectors cost a copy.
        alphabet = torch.eye(noise.shape[2], device=noise.device)
        going = torch.ones(len(first), dtype=torch.bool, device=first.device)
        letters, inside, alive = [], [], []
        for place, (from_outside, of_place) in enumerate(zip(outside.unbind(), sums.unbind(), strict=True)):
            if letters:
                from_outside = torch.addmm(from_outside, letters[-1], previous)
            hidden = steps.advance(place, from_outside)
            inside.append(leaky_relu_(torch.addmm(w.inner_bias, hidden, inner), SLOPE))
            drawn = of_place.addmm_(inside[-1], out).argmax(dim=1) * going  # padding, level 0, after the end
            letters.append(alphabet.index_select(0, drawn))
            alive.append(going)
            going = drawn > END
        words = torch.stack(letters)
        if any(ctx.needs_input_grad):
            ctx.temperature = temperature
            traced = (steps.hidden, steps.gates, steps.candidate)
            ctx.save_for_backward(words, sums, torch.stack(inside), torch.stack(alive), *traced, *weights)
        return words

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradients: Tensor) -> tuple[Tensor | None, ...]:
        words, sums, inside, alive, *others = ctx.saved_tensors
        traced, w = others[:3], Writer(*others[3:])
        with torch.autocast(words.device.type, enabled=False):
            rewind = Rewind(*traced, w.recurrent)
            soft = torch.softmax(sums / ctx.temperature, dim=2)
            scaled = soft * (alive.unsqueeze(2) / ctx.temperature)
            leak = torch.where(inside > 0, 1.0, SLOPE)
            of_sums, of_inside = torch.empty_like(sums), torch.empty_like(inside)
            of_letter, carried = gradients[-1], torch.zeros_like(inside[0])
            for place in reversed(range(len(words))):
                mean = (of_letter * soft[place]).sum(dim=1, keepdim=True)
                torch.mul(of_letter - mean, scaled[place], out=of_sums[place])
                torch.mul(of_sums[place] @ w.out, leak[place], out=of_inside[place])
                of_hidden = carried.addmm_(of_inside[place], w.inner)
                rewind.step(place, of_hidden)
                carried = rewind.carried(place, of_hidden)
                if place > 0:
                    of_letter = torch.addmm(gradients[place - 1], rewind.of_outside[place], w.previous)
            of_outside, (of_recurrent, of_bias) = rewind.of_outside, rewind.of_weights()
            sums_flat, inside_flat = of_sums.flatten(0, 1), of_inside.flatten(0, 1)  # [T B, F] and [T B, W]
            of_weights = Writer(
                recurrent=of_recurrent,
                recurrent_bias=of_bias,
                previous=of_outside[1:].flatten(0, 1).t() @ words[:-1].flatten(0, 1),
                inner=inside_flat.t() @ traced[0][1:].flatten(0, 1),
                inner_bias=inside_flat.sum(dim=0),
                out=sums_flat.t() @ inside.flatten(0, 1),
                out_bias=sums_flat.sum(dim=0),
            )
        return of_outside, carried, None, None, *of_weights
