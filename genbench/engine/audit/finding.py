"""How a test of the audit says what it found, and how sure it is before it says that a model flatters itself."""

from __future__ import annotations

import math
from collections.abc import Callable

from genbench.engine.worker import status_of
from genbench.errors import GenbenchError
from genbench.record import AuditFinding

STANDARD_ERRORS = 4.0
"""Beyond how many a test fails."""

FALSE_ALARM = math.erfc(STANDARD_ERRORS / math.sqrt(2)) / 2
"""The chance of that for a normal variable of mean at the limit, 3.2e-5; tests that know an exact bound use it."""


class Unfit(GenbenchError):
    """The model can't be used, or trained, on the data of a test other than the main one: the test is skipped."""


def passed(name: str, message: str, measured: float | None = None, limit: float | None = None) -> AuditFinding:
    return AuditFinding(name, "passed", measured, limit, message)


def failed(name: str, message: str, measured: float | None = None, limit: float | None = None) -> AuditFinding:
    return AuditFinding(name, "failed", measured, limit, message)


def skipped(name: str, message: str) -> AuditFinding:
    return AuditFinding(name, "skipped", None, None, message)


def guarded(name: str, test: Callable[[], AuditFinding]) -> AuditFinding:
    """The finding of a test. What a model raises in it is a failure, unless the data do not suit it.

    Raises:
        Exception: what says nothing about the model, see :func:`of_the_machine`; a verdict on it would be kept.
    """
    try:
        return test()
    except Unfit as reason:
        return skipped(name, str(reason))
    except GenbenchError as error:
        return failed(name, str(error))
    except Exception as error:
        if of_the_machine(error):
            raise
        return failed(name, f"raised {first_line(error)}")


def of_the_machine(error: BaseException) -> bool:
    """Whether memory or disk ran out: another time, or on another machine, the same audit may well end."""
    status = status_of(error, "audit")
    return status == "harness_error" or status.startswith("oom_")


def first_line(error: BaseException) -> str:
    """What was raised, on one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{': ' + lines[0] if lines else ''}"
