"""Checks that a long run costs no more a step than a short one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from genbench.engine.checks.ledger import Course, Mark, Pace, course, pace, steps_of_course
from genbench.engine.checks.subject import NOTHING_TO_TRAIN, Broken, Check, Subject

TOO_FEW = "takes too few steps for growth to show"

WORK_GROWTH = 1.05
"""Factor by which the typical step must grow from window to window to count as growing."""

TIME_GROWTH = 1.4
TIME_GROWTH_IN_ALL = 2.5
LEAST_SECONDS = 5e-3
"""CPU time is noisy, so growth must be this large, and show in two trainings."""

LEAST_BYTES = 1024
"""Of Python's memory a step: what caches and lists of free objects may take while they fill."""


def check_state_does_not_grow(subject: Subject) -> str | None:
    """The state of a long training is no larger than that of a short one."""
    found = _course(subject)
    if isinstance(found, str):
        return found
    for what, read, unit in (
        ("tensors", lambda mark: mark.state_tensors, ""),
        ("bytes of tensors", lambda mark: mark.state_bytes - _may_keep(subject, mark), " bytes"),
        ("numbers and strings", lambda mark: mark.state_leaves, ""),
    ):
        if _grows(found, read):
            raise Broken(
                f"the {what} of state_dict became {_series(found, read, unit)}",
                "a history of losses, batches or past weights is in it; keep a running figure instead",
            )
    return None


def check_tensors_do_not_accumulate(subject: Subject) -> str | None:
    """What a training step computes is freed again; the tensors alive do not grow with the steps."""
    found = _course(subject)
    if isinstance(found, str):
        return found
    number: Callable[[Mark], int] = lambda mark: mark.live_tensors  # noqa: E731
    size: Callable[[Mark], int] = lambda mark: mark.live_bytes - _may_keep(subject, mark)  # noqa: E731
    if _grows(found, size) and (_grows(found, number) or subject.job.max_epochs is not None):
        per_step = (found.marks[2].live_bytes - found.marks[1].live_bytes) / (
            found.marks[2].steps - found.marks[1].steps
        )
        raise Broken(
            f"tensors alive became {_series(found, number)}, {per_step:,.0f} bytes a step",
            "losses or batches are kept in a list; a loss with its graph keeps every activation: append loss.item()",
        )
    return None


def check_python_memory_does_not_grow(subject: Subject) -> str | None:
    """Memory outside of tensors does not grow by a batch's size with each step."""
    steps = _steps(subject)
    if isinstance(steps, str):
        return steps
    found = _pace(subject, steps).python_bytes
    batch = subject.batch_size * subject.data.dims
    # A model with max_epochs may keep what it was shown, in whatever form.
    allowed = max(LEAST_BYTES, batch // 2) if subject.job.max_epochs is None else 8 * batch + LEAST_BYTES
    (first, second, third) = (held - allowed * taken for held, taken in zip(found, steps, strict=True))
    if first < second < third:
        shown = ", ".join(f"{held:,} bytes after {taken} steps" for held, taken in zip(found, steps, strict=True))
        raise Broken(
            f"Python's memory, NumPy's arrays included, became {shown}",
            "arrays or objects of every step are kept; the budget of memory would end a long run",
        )
    return None


def check_work_of_a_step_does_not_grow(subject: Subject) -> str | None:
    """A late training step takes no more operations than an early one at the same progress."""
    found = _course(subject)
    if isinstance(found, str):
        return found
    for what, values in (("FLOPs", found.flops), ("torch operations", found.operations)):
        if values[1] > WORK_GROWTH * values[0] and values[2] > WORK_GROWTH * values[1]:
            raise Broken(
                f"{what} of a typical step rose from {values[0]:,} to {values[1]:,} to {values[2]:,} over "
                f"{found.marks[-1].steps} steps",
                "a step works through all that came before; drive schedules by progress, and keep running figures",
            )
    return None


def check_time_of_a_step_does_not_grow(subject: Subject) -> str | None:
    """A late training step takes no longer than an early one at the same progress."""
    steps = _steps(subject)
    if isinstance(steps, str):
        return steps
    for attempt in range(2):
        first, second, third = seconds = (_pace(subject, steps) if attempt == 0 else pace(subject, steps)).seconds
        slower = second > TIME_GROWTH * first and third > TIME_GROWTH * second
        if not slower or third < TIME_GROWTH_IN_ALL * first or third - first < LEAST_SECONDS:
            return None
    shown = ", ".join(f"{1000 * value:.1f}" for value in seconds)
    raise Broken(
        f"the fastest step of {steps[0]}, of the next {steps[0]} and of the next {2 * steps[0]} took {shown} ms",
        "a step works through all that came before, outside torch: a growing list, a scan of past batches",
    )


def _course(subject: Subject) -> Course | str:
    """The measured training of a subject, taken once for all checks; or why there is none."""
    steps = _steps(subject)
    if isinstance(steps, str):
        return steps
    found: Course = _once(subject, "_course", lambda: course(subject, steps))
    return found


def _pace(subject: Subject, steps: tuple[int, int, int]) -> Pace:
    found: Pace = _once(subject, "_pace", lambda: pace(subject, steps))
    return found


def _once(subject: Subject, key: str, measure: Callable[[], Any]) -> Any:
    known = vars(subject)
    if key not in known:
        known[key] = measure()
    return known[key]


def _steps(subject: Subject) -> tuple[int, int, int] | str:
    if not subject.trains:
        return NOTHING_TO_TRAIN
    return steps_of_course(subject) or TOO_FEW


def _may_keep(subject: Subject, mark: Mark) -> int:
    """Bytes that a model may hold after so many steps: what it was shown, if it is shown it a few times only."""
    if subject.job.max_epochs is None:
        return 0
    per_example = subject.data.dims + (0 if subject.data.classes is None else 8)
    return mark.steps * subject.batch_size * per_example


def _grows(found: Course, read: Callable[[Mark], int]) -> bool:
    """Whether a figure grows between both pairs of marks; what is made once, moments or gradients, does not."""
    first, second, third = (read(mark) for mark in found.marks)
    return first < second < third


def _series(found: Course, read: Callable[[Mark], int], unit: str = "") -> str:
    return ", ".join(f"{read(mark):,}{unit} after {mark.steps} steps" for mark in found.marks)


CHECKS: tuple[Check, ...] = (
    check_state_does_not_grow,
    check_tensors_do_not_accumulate,
    check_python_memory_does_not_grow,
    check_work_of_a_step_does_not_grow,
    check_time_of_a_step_does_not_grow,
)
