"""Claims of devices, so that a run has one to itself, whatever other harnesses are at work on the machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from genbench.executors.cores import machine_folder
from genbench.executors.launcher import HarnessError, Launcher
from genbench.executors.supervision import Killed
from genbench.paths import VARIABLE

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Device:
    """A device that this harness may use.

    Attributes:
        name: that ``CUDA_VISIBLE_DEVICES`` knows it by: a UUID, or what that variable had here.
        key: that all harnesses on the machine know it by: its UUID.
        claim: descriptors of the locks that hold it, where it has been claimed.
    """

    name: str
    key: str
    claim: tuple[int, ...] = field(default=(), compare=False)


def visible_devices(launcher: Launcher) -> list[Device]:
    """The CUDA devices that this harness may use, in the order of ``CUDA_VISIBLE_DEVICES``.

    torch is asked, in a process of its own: neither the harness nor the fork server may touch a device.

    Raises:
        GenbenchError: if torch finds none.
    """
    return [Device(**found) for found in launcher.call("genbench.engine.device:visible_devices", {})]


class Devices:
    """Places for runs on devices.

    A place is a lock on a file of the machine's, which the system lets go of when all have ended that hold it: the
    harness, and the supervisor of the run, which inherits it and ends when nothing of the run is left. A run that has a
    device to itself locks the device's file for itself alone. Where several may share it they lock that file together,
    and each a numbered one beside it.

    Args:
        devices: those that may be used; none where runs need none.
        runs_per_device: runs that may share one.
        folder: path of the folder of the locks; by default this machine's.

    Attributes:
        places: runs that there is room for, if nobody else is there.
    """

    def __init__(self, devices: Sequence[Device], runs_per_device: int = 1, folder: str | None = None) -> None:
        self._devices = devices
        self._share = runs_per_device
        self._folder = machine_folder("devices") if folder is None else folder
        self._kept = ExitStack()
        self.places = len(devices) * runs_per_device

    @contextmanager
    def one(self, stopped: Callable[[], bool]) -> Iterator[Device | None]:
        """A place on a device, the emptiest first, waited for where all are taken.

        Args:
            stopped: whether to wait no longer.

        Yields:
            The device; None if it was stopped before there was one.

        Raises:
            HarnessError: if the folder of the locks can't be written.
        """
        with ExitStack() as held:
            device = self._take(held)
            while device is None and not stopped():
                time.sleep(POLL_SECONDS)
                device = self._take(held)
            try:
                yield device
            except Killed:  # with its supervisor, so that its processes may need the device a moment longer
                self._kept.push(held.pop_all())
                raise

    def close(self) -> None:
        """Let go of the places of runs that were killed, once nothing of them is left."""
        self._kept.close()

    def _take(self, held: ExitStack) -> Device | None:
        for place in range(self._share):
            for device in self._devices:
                with ExitStack() as taken:
                    if (claim := self._locked(device, place, taken)) is not None:
                        held.push(taken.pop_all())
                        return replace(device, claim=claim)
        return None

    def _locked(self, device: Device, place: int, taken: ExitStack) -> tuple[int, ...] | None:
        """The descriptors of a place's locks; None where somebody else has it."""
        path = os.path.join(self._folder, device.key)
        wanted = [(f"{path}.lock", fcntl.LOCK_EX)]
        if self._share > 1:
            wanted = [(f"{path}.lock", fcntl.LOCK_SH), (f"{path}.{place}.lock", fcntl.LOCK_EX)]
        claim: list[int] = []
        for file, kind in wanted:
            if (descriptor := _lock(file, kind, taken)) is None:
                return None
            claim.append(descriptor)
        return tuple(claim)


def _lock(path: str, kind: int, held: ExitStack) -> int | None:
    """The descriptor of a file that is locked until ``held`` closes; None where somebody else's lock is in the way.

    Raises:
        HarnessError: if the file can't be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HarnessError(
            f"no device can be claimed: {path}: {error.strerror}. Mend its permissions, or name another folder with "
            f"{VARIABLE}"
        ) from error
    held.callback(os.close, descriptor)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return descriptor
    return None
