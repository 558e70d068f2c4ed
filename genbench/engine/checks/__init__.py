"""The conformance kit: one rule, one function; one generator of them feeds the command, Python and pytest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from genbench.engine.checks import audit, construction, cost, likelihood, process, sampling, state, training
from genbench.engine.checks.place import CLASS, CONFIG, method_of, place_of_method
from genbench.engine.checks.subject import Blocked, Check, Remark, Subject, explain
from genbench.engine.contract import prepare_torch

GROUPS: dict[str, tuple[Check, ...]] = {
    "construction": construction.CHECKS,
    "training": training.CHECKS,
    "sampling": sampling.CHECKS,
    "likelihood": (*likelihood.CHECKS, *audit.CHECKS),
    "state": state.CHECKS,
    "cost": cost.CHECKS,
}
"""Every check, in the order in which a person would want to hear of them."""

ELSEWHERE = {
    CLASS: "genbench.model.Model",
    CONFIG: "genbench.ModelSpec",
    "__init__": "genbench.ModelSpec",
    "prepare_for_eval": "genbench.model.PreparesForEval",
}
"""Where the contract of what is no method of every model is written out, for ``pydoc``."""


@dataclass(frozen=True)
class Rule:
    """One check.

    Attributes:
        name: the function's, without ``check_``.
        group: its key in :data:`GROUPS`.
        promise: the rule in one sentence, the function's docstring.
        function: raises :class:`~genbench.engine.checks.subject.Broken`, or returns the reason why the rule does not
            apply, a :class:`~genbench.engine.checks.subject.Remark`, or None.
    """

    name: str
    group: str
    promise: str
    function: Check

    @property
    def needs(self) -> tuple[str, ...]:
        """Checks without which this one says nothing."""
        found: tuple[str, ...] = vars(self.function).get("needs", ())
        return found

    @property
    def method(self) -> str:
        """The model's method that it is about, or what :mod:`~genbench.engine.checks.place` has instead."""
        return method_of(self.name, self.group)

    @property
    def read(self) -> str:
        """Where the contract is written out."""
        page = ELSEWHERE.get(self.method, f"genbench.model.Model.{self.method}")
        return f"python -m pydoc {page}; docs/conformance.md#{self.group}"


RULES: tuple[Rule, ...] = tuple(
    Rule(check.__name__.removeprefix("check_"), group, (check.__doc__ or "").strip().splitlines()[0], check)
    for group, checks in GROUPS.items()
    for check in checks
)


@dataclass(frozen=True)
class Result:
    """What one check found.

    Attributes:
        name, group, promise: of the :class:`Rule`.
        verdict: ``passed``, ``failed``, or ``skipped`` where the rule does not apply to the model, or could not be
            asked because another check has failed.
        message: for people, in one line; for ``passed`` a remark, or empty.
        measured, cause: of a failure: what was found, and what most likely brings it about.
        where: of a failure: file, line and name of the method that it is about; empty where there is no source.
        read: where to read more.
        seconds: time it took.
    """

    name: str
    group: str
    promise: str
    verdict: str
    message: str
    measured: str
    cause: str
    where: str
    read: str
    seconds: float


def run_checks(subject: Subject) -> Iterator[Result]:
    """Every check on one model. A check that the model makes raise has failed; the others still run."""
    for rule in RULES:
        yield judge(subject, rule)[0]


def judge(subject: Subject, rule: Rule) -> tuple[Result, BaseException | None]:
    """One check on one model, and the error behind a failure. The process is left as it was found."""
    began = time.monotonic()
    error: BaseException | None = None
    failing = next((name for name in rule.needs if _verdict(subject, name) == "failed"), None)
    if failing is None:
        subject.ask(rule.name)
        said, error = _ask(subject, rule)
        if isinstance(error, Blocked) and error.owner != rule.name and _verdict(subject, error.owner) == "failed":
            failing, error = error.owner, None
    if failing is not None:
        said = f"not asked, since the check {failing} fails"
    passed = said is None or isinstance(said, Remark)
    verdict = "failed" if error is not None else "passed" if passed else "skipped"
    subject.verdicts[rule.name] = verdict
    measured, cause = ("", "") if error is None else explain(error)
    message = f"{measured}; {cause}" if error is not None else str(said or "")
    seconds = time.monotonic() - began
    where = "" if error is None else place_of_method(subject.job, rule.method)
    result = Result(rule.name, rule.group, rule.promise, verdict, message, measured, cause, where, rule.read, seconds)
    return result, error


def _ask(subject: Subject, rule: Rule) -> tuple[str | None, BaseException | None]:
    """Why a rule does not apply, or a remark; and the error with which it failed."""
    budget = subject.job.budget
    with process.preserved():
        prepare_torch(budget.threads, budget.device)
        try:
            return rule.function(subject), None
        except (Exception, SystemExit) as error:
            return None, error


def _verdict(subject: Subject, name: str) -> str:
    """The verdict of another check, which is asked now if it has not been yet."""
    if name not in subject.verdicts:
        judge(subject, next(rule for rule in RULES if rule.name == name))
    return subject.verdicts[name]
