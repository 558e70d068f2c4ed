"""What the processes of supervised stages do in tests: one fault each."""

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

from genbench.engine.progress import Progress
from genbench.errors import GenbenchError

MEBIBYTE = 1 << 20


def answer(value: Any = 42) -> dict[str, Any]:
    """End well."""
    return {"value": value, "pid": os.getpid(), "cwd": os.getcwd()}


def sleep(seconds: float = 600.0, ready: str = "") -> dict[str, Any]:
    if ready:
        Path(ready).write_text(str(os.getpid()))
    time.sleep(seconds)
    return {}


def hold_the_gil() -> None:
    ctypes.PyDLL(None).sleep(600)


def ignore_sigterm(ready: str = "") -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleep(ready=ready)


def daemonise(ready: str, then: float = 0.0) -> dict[str, Any]:
    """Leave a process behind in a session of its own, its parent gone; and fork once more below it."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = os.fork()
            if child:
                os.write(write, f"{os.getpid()} {child}".encode())
            time.sleep(600)
        os._exit(0)
    os.wait()
    pids = [int(pid) for pid in os.read(read, 100).split()]
    Path(ready).write_text(" ".join(map(str, pids)))
    time.sleep(then)
    return {"pids": pids}


def fork_many(count: int) -> dict[str, Any]:
    pids = []
    for _ in range(count):
        if (pid := os.fork()) == 0:
            time.sleep(600)
        pids.append(pid)
    return {"pids": pids}


def allocate(step: int = 8 * MEBIBYTE, pause: float = 0.0) -> None:
    """Without end."""
    held = []
    while True:
        held.append(bytearray(b"x") * step)
        time.sleep(pause)


def allocate_in_children(children: int, each: int) -> dict[str, Any]:
    """Memory of their own, in several processes that share what they began with."""
    for _ in range(children):
        if os.fork() == 0:
            held = bytearray(b"x") * each
            time.sleep(600)
            del held
    time.sleep(600)
    return {}


def allocate_briefly(size: int) -> dict[str, Any]:
    held = bytearray(b"x") * size
    del held
    time.sleep(0.3)
    return {}


def spin(burn: float, processes: int) -> dict[str, Any]:
    """Use CPU time in children that nobody waits for."""
    pids = []
    for _ in range(processes):
        if (pid := os.fork()) == 0:
            end = time.process_time() + burn
            while time.process_time() < end:
                pass
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return {}


def print_much(size: int) -> dict[str, Any]:
    line = b"\x1b[31mred\x1b[0m " + b"x" * 4000 + b"\r\n"
    for _ in range(size // len(line)):
        os.write(1, line)
    os.write(1, b"the end\n")
    return {}


def print_for_ever() -> None:
    while True:
        os.write(1, b"y\n" * 30000)


def exit_at_once(code: int) -> None:
    os._exit(code)


def leave(path: str, text: str, code: int = 0) -> None:
    """Write a completion mark of one's own, and end."""
    Path(path).write_text(text)
    os._exit(code)


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(600)


def signal_parent(number: int) -> None:
    os.kill(os.getppid(), number)
    time.sleep(600)


def remove(folder: str) -> None:
    import shutil

    shutil.rmtree(folder)
    os._exit(0)


def progress() -> dict[str, Any]:
    said = Progress()
    for share in (0.25, 0.5, 0.75):
        said.report(share)
        time.sleep(0.3)
    return {}


def litter() -> dict[str, Any]:
    """Leave files in the current folder."""
    Path("inner").mkdir()
    Path("inner", "file").write_text("x")
    return {"cwd": os.getcwd()}


def litter_deeply(levels: int) -> dict[str, Any]:
    """Leave folders in one another, the innermost closed."""
    for _ in range(levels):
        os.mkdir("deeper")
        os.chdir("deeper")
    os.mkdir("closed", 0o000)
    return {}


def affinity() -> dict[str, Any]:
    time.sleep(1.0)
    return {"cores": sorted(os.sched_getaffinity(0))}


def find_the_disk_refusing(job: dict[str, Any]) -> None:
    """In the place of a stage: an error as the system raises it."""
    raise OSError(job["errno"], os.strerror(job["errno"]), *([job["path"]] if job["path"] else []))


def refuse(reason: str) -> None:
    raise GenbenchError(reason)
