"""The watch over global state: what a plugin's calls change of the process is noted, and put back at once.

The core promises a model, and the next call of it, a process in a certain state: threads, default dtype, determinism,
precision, seeds. A plugin that changes it is not stopped, since most do so by accident, but its record says so.
"""

from __future__ import annotations

import inspect
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch


class Setting(NamedTuple):
    """One piece of global state.

    Attributes:
        read, write: how it is read, and put back.
        shown: whether its values are told: not where they are paths or objects, which differ between two runs.
    """

    read: Callable[[], Any]
    write: Callable[[Any], Any]
    shown: bool = True


def _attribute(owner: Any, name: str) -> Setting:
    return Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _autocast(device: str) -> Setting:
    return Setting(lambda: torch.is_autocast_enabled(device), lambda value: torch.set_autocast_enabled(device, value))


def _handler(number: signal.Signals) -> Setting:
    return Setting(lambda: _getsignal(number), lambda value: signal.signal(number, value), shown=False)


def _default_device() -> torch.device:
    # It is a mode on torch's stack of them; to ask for it by name takes a hundred times as long as to see that none is.
    return torch.get_default_device() if torch._C._len_torch_function_stack() else CPU


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def _return_to(folder: str | None) -> None:
    """Go back to a folder, which is made again if it alone was removed: its own may be another attempt's by now."""
    if folder is not None:
        if not os.path.isdir(folder):
            os.mkdir(folder)
        os.chdir(folder)


CPU = torch.device("cpu")
_getsignal = inspect.unwrap(signal.getsignal)  # without the microseconds of looking for an enum's member

SETTINGS: dict[str, Setting] = {
    "the default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
    # None takes the mode off the stack again; the CPU's own would slow down every call of torch.
    "the default device": Setting(
        _default_device, lambda device: torch.set_default_device(None if device == CPU else device)
    ),
    "the number of threads": Setting(torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "gradient mode": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly detection": Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "autocast": _autocast("cpu"),
    "autocast on CUDA": _autocast("cuda"),
    "cudnn.benchmark": _attribute(torch.backends.cudnn, "benchmark"),
    "cudnn.deterministic": _attribute(torch.backends.cudnn, "deterministic"),
    # The whole before its parts: putting it back puts them back, and they can't be read while it contradicts them.
    "the precision of float32": _attribute(torch.backends, "fp32_precision"),
    "the precision of matrix products": Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "cudnn.allow_tf32": _attribute(torch.backends.cudnn, "allow_tf32"),
    "cuda.matmul.allow_tf32": _attribute(torch.backends.cuda.matmul, "allow_tf32"),
    "the working folder": Setting(_working_folder, _return_to, shown=False),
    "the handler of SIGTERM": _handler(signal.SIGTERM),
    "the handler of SIGINT": _handler(signal.SIGINT),
    "the handler of SIGALRM": _handler(signal.SIGALRM),
    "the alarm clock": Setting(
        lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        lambda armed: None if armed else signal.setitimer(signal.ITIMER_REAL, 0),
        shown=False,
    ),
}
"""What is watched, in the order in which it is put back."""

_READERS = tuple(setting.read for setting in SETTINGS.values())


class Unreadable(NamedTuple):
    """Stands for a setting that torch refuses to tell, since a plugin has set it in two ways that contradict."""

    def __str__(self) -> str:
        return "a contradiction"


class Watch:
    """Looks at global state around a plugin's calls, notes what they changed, once a kind, and puts it back.

    A look takes about ten microseconds. As a context it also sees who seeds ``random`` and NumPy's global generator.
    What is there when it is made is what is right.
    """

    def __init__(self) -> None:
        self._right = _glance()
        self._notes: dict[str, str] = {}
        self._seeded: set[str] = set()

    def __enter__(self) -> Watch:
        self._originals = random.seed, np.random.seed
        random.seed = self._seen(random.seed, "Python's random")
        np.random.seed = self._seen(np.random.seed, "NumPy's global generator")
        return self

    def __exit__(self, *_: object) -> None:
        random.seed, np.random.seed = self._originals

    @contextmanager
    def over(self, call: str, step: int | None = None, tell: bool = True) -> Iterator[None]:
        """Wrap a call of the plugin.

        Args:
            call: its name, for people.
            step: which one of many, where each run makes the same ones.
            tell: whether to note what is put back.
        """
        seeds = _torch_seeds()
        self._seeded.clear()
        yield
        if _glance() != self._right:
            self._put_back(call, step, tell)
        if any(before != now for before, now in zip(seeds, _torch_seeds(), strict=False)):
            self._seeded.add("torch's generators")
        if self._seeded and tell:
            for generator in sorted(self._seeded):
                self._note_call(call, f"reseeded {generator}", step)

    def note(self, text: str, kind: str = "") -> None:
        """Note something that a reader of the record ought to know, once a kind, in the log too."""
        if (kind or text) not in self._notes:
            self._notes[kind or text] = text
            print(f"genbench: {text}", file=sys.stderr, flush=True)

    @property
    def warnings(self) -> list[str]:
        """What was noted, in an order that does not hang on when it was."""
        return sorted(self._notes.values())

    def state(self) -> dict[str, str]:
        """What was noted so far, as plain values for JSON."""
        return dict(self._notes)

    def restore(self, state: Mapping[str, str]) -> None:
        """Add what an earlier process noted, which stands before what this one did."""
        self._notes |= state

    def _put_back(self, call: str, step: int | None, tell: bool) -> None:
        for index, (name, setting) in enumerate(SETTINGS.items()):
            right, found = self._right[index], setting_now(setting)  # again: putting back another may have mended it
            if found == right:
                continue
            end = _written_back(setting, right)
            self._right[index] = setting_now(setting)  # what can't be put back is not the next call's doing
            if tell:
                values = f" from {right} to {found}" if setting.shown else ""
                self._note_call(call, f"changed {name}{values}", step, end)

    def _note_call(self, call: str, did: str, step: int | None, end: str = "") -> None:
        where = "" if step is None else f" at step {step}"
        self.note(f"{call} {did}{where}{end}", kind=f"{call} {did.partition(' from ')[0]}")

    def _seen(self, seed: Callable[..., None], generator: str) -> Callable[..., None]:
        def seeding(*arguments: Any, **named: Any) -> None:
            self._seeded.add(generator)
            seed(*arguments, **named)

        return seeding


def _glance() -> list[Any]:
    try:
        return [read() for read in _READERS]
    except RuntimeError:
        return [setting_now(setting) for setting in SETTINGS.values()]


def setting_now(setting: Setting) -> Any:
    """What a setting is now, or :class:`Unreadable`."""
    try:
        return setting.read()
    except RuntimeError:  # torch's, of precisions that were set in two ways
        return Unreadable()


def _written_back(setting: Setting, right: Any) -> str:
    """Put a setting back; says how that went."""
    try:
        setting.write(right)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        return f"; it could not be put back: {type(error).__name__}"
    return "; put back" if setting_now(setting) == right else "; it could not be put back"


def _torch_seeds() -> list[int]:
    """The seeds of torch's generators: the CPU's, and those of CUDA devices in use."""
    seeds = [torch.default_generator.initial_seed()]
    if torch.cuda.is_initialized():
        seeds += [generator.initial_seed() for generator in torch.cuda.default_generators]
    return seeds
