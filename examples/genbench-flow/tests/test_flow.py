"""The flow against mathematics: it is invertible, and its log-determinant is that of autograd's Jacobian."""

from __future__ import annotations

import pytest
import torch

from genbench_flow.flow import Flow, coupling_mask

SHAPES = [(1, 2, 2), (1, 4, 6), (3, 2, 4)]


def perturbed_flow(shape: tuple[int, int, int]) -> Flow:
    """A flow in float64 far from the identity."""
    torch.manual_seed(0)
    flow = Flow(shape, couplings=6, width=16, dropout=0.3, max_log_scale=2.0, alpha=0.05).double().eval()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return flow


@pytest.mark.parametrize("shape", SHAPES)
def test_the_inverse_undoes_the_flow(shape):
    flow = perturbed_flow(shape)
    y = torch.rand(32, flow.dims, dtype=torch.float64)
    z, _ = flow(y)
    assert not torch.allclose(z, y, atol=0.1)
    torch.testing.assert_close(flow.inverse(z), y, rtol=0, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_log_determinant_is_that_of_the_full_jacobian(shape):
    flow = perturbed_flow(shape)
    y = torch.rand(5, flow.dims, dtype=torch.float64)
    _, log_det = flow(y)
    for example, found in zip(y, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda row: flow(row[None])[0][0], example)
        _, expected = torch.linalg.slogdet(jacobian)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_the_logit_s_log_determinant_holds_at_the_edges_of_the_unit_interval():
    flow = perturbed_flow((1, 2, 2))
    y = torch.tensor([[0.0, 1.0, 0.5, 1e-9]], dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda row: flow.logit(row[None])[0][0], y[0])
    logits, log_det = flow.logit(y)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(log_det[0], jacobian.diagonal().log().sum())


def test_initialisation_from_data_gives_outputs_of_mean_zero_and_deviation_one():
    torch.manual_seed(0)
    flow = Flow((1, 4, 4), couplings=4, width=16, dropout=0.0, max_log_scale=2.0, alpha=0.05).eval()
    y = 0.2 + 0.1 * torch.rand(512, 16)
    flow.initialise(y)
    z, _ = flow(y)
    torch.testing.assert_close(z.mean(0), torch.zeros(16), rtol=0, atol=1e-4)
    torch.testing.assert_close(z.std(0), torch.ones(16), rtol=0.02, atol=0)


@pytest.mark.parametrize("index", range(6))
def test_each_mask_keeps_half_of_every_cell_and_the_next_one_keeps_the_rest(index):
    shape = (2, 4, 6)
    mask = coupling_mask(shape, index)
    cells = mask.view(2, 2, 2, 3, 2)  # [C, H/2, 2, W/2, 2]
    assert (cells.sum((2, 4)) == 2).all()
    if index % 2 == 0:
        assert torch.equal(coupling_mask(shape, index + 1), ~mask)
