"""What models of the zoo do to their process and around it, in the middle of training."""

import ctypes
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

CHILDREN = 20
FLOOD = 1 << 30
MOST = 6 << 30
"""Bytes that the hoarder takes at most, so that a machine survives a harness that does not stop it."""


def raises() -> None:
    raise RuntimeError("a deliberate fault in train_step")


def raises_surrogates() -> None:
    raise RuntimeError("a deliberate fault \ud800\udfff \x1b[31m in words\x1b[0m")


def hangs_without_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    while True:
        time.sleep(3600)


def hoards() -> None:
    """Memory as fast as the system gives it, each page touched."""
    hoard = []
    while sum(map(len, hoard)) < MOST:
        hoard.append(b"\x01" * (16 << 20))
    time.sleep(3600)


def leaves_children() -> None:
    for _ in range(CHILDREN):
        if os.fork() == 0:
            time.sleep(3600)
            os._exit(0)


def leaves_a_daemon() -> None:
    """As daemons are made: a session of its own, and nobody's child."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork() == 0:
        os.chdir("/")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    os._exit(0)


def floods() -> None:
    block = (b"0123456789abcde\n" * 64) * 4096  # 4 MiB
    for _ in range(FLOOD // len(block)):
        os.write(1, block)


def paints() -> None:
    print(
        "\x1b[2J\x1b[31mred\x1b[0m \x1b]0;a title\x07\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\ \r\b\x00\x9b1m"
    )
    os.write(2, bytes(range(256)) + b"\x1b[" + b"9" * 5000 + b"m\xff\xfe\xed\xa0\x80")


def litters() -> None:
    """Files, folders and links by the names of what a run keeps, in its folder; some lead out of it."""
    folder, outside = Path.cwd().parent, Path(tempfile.gettempdir())
    (folder / "record.json").write_text('{"status": "ok"}')
    (folder / "junk.bin").write_bytes(bytes(1000))
    (folder / "junk").mkdir()
    (folder / "junk" / "deeper").write_text("junk")
    for name in ("samples.png", "samples.npz", "nats.npz"):
        (folder / name).symlink_to(outside / "written-through-a-link")
    (folder / "link").symlink_to(outside)


def deletes_its_folder() -> None:
    shutil.rmtree(Path.cwd())


def deletes_all_around() -> None:
    """Whatever lies beside its folder too, as far as it is of this run."""
    own = Path.cwd()
    for path in own.parent.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def reseeds() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


FAULTS = {
    "raises": raises,
    "raises-surrogates": raises_surrogates,
    "exits": lambda: sys.exit(0),
    "vanishes": lambda: os._exit(0),
    "segfaults": lambda: ctypes.string_at(0),
    "aborts": os.abort,
    "kills-itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kills-its-group": lambda: os.killpg(0, signal.SIGKILL),
    "hangs": lambda: time.sleep(3600),
    "hangs-with-the-gil": lambda: ctypes.PyDLL(None).sleep(3600),
    "hangs-without-sigterm": hangs_without_sigterm,
    "hoards": hoards,
    "leaves-children": leaves_children,
    "leaves-a-daemon": leaves_a_daemon,
    "closes-descriptors": lambda: os.closerange(0, 4096),
    "floods": floods,
    "paints": paints,
    "litters": litters,
    "deletes-its-folder": deletes_its_folder,
    "deletes-all-around": deletes_all_around,
    "reseeds": reseeds,
    "default-dtype": lambda: torch.set_default_dtype(torch.float64),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "not-deterministic": lambda: torch.use_deterministic_algorithms(False),
}
"""What is called at the fifth step, by the model's fault."""
