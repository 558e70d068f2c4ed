"""The conformance kit: one rule, one function; one generator of them feeds the command, Python and pytest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from genbench.engine.checks import likelihood, sampling, state, training
from genbench.engine.checks.subject import Broken, Subject
from genbench.engine.contract import prepare_torch

CHECKS = (*training.CHECKS, *sampling.CHECKS, *likelihood.CHECKS, *state.CHECKS)
"""Every check, in the order in which a person would want to hear of them."""


@dataclass(frozen=True)
class Result:
    """What one check found.

    Attributes:
        name: of the check, without ``check_``.
        promise: the rule, the first line of its docstring.
        verdict: ``passed``, ``failed``, or ``skipped`` where the rule does not apply to the model.
        message: what was measured and the likely cause; empty for ``passed``.
        seconds: time it took.
    """

    name: str
    promise: str
    verdict: str
    message: str
    seconds: float


def run_checks(subject: Subject) -> Iterator[Result]:
    """Every check on one model. A check that the model makes raise has failed; the others still run."""
    for check in CHECKS:
        _reset(subject)
        began = time.monotonic()
        try:
            skipped = check(subject)
            verdict, message = ("passed", "") if skipped is None else ("skipped", skipped)
        except Broken as broken:
            verdict, message = "failed", str(broken)
        except (Exception, SystemExit) as error:
            verdict, message = "failed", f"raised {type(error).__name__}: {error}"
        promise = (check.__doc__ or "").strip().splitlines()[0]
        yield Result(check.__name__.removeprefix("check_"), promise, verdict, message, time.monotonic() - began)


def _reset(subject: Subject) -> None:
    """What one check's model did to the process must not be the next check's starting point."""
    prepare_torch(subject.job.budget.threads, subject.job.budget.device)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
