"""A plugin that works, but prints and changes global state when it is imported."""

import os
import signal
import sys
from dataclasses import dataclass

from genbench import ModelSpec, hookimpl

print("\x1b[31mWelcome!\x1b[0m")
os.write(1, b"and welcome again\n")
os.chdir("/")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.path.insert(0, "/nowhere")


@dataclass(frozen=True)
class Config:
    batch_size: int = 8


@hookimpl
def register_models():
    return [ModelSpec("noisy", "nowhere:Model", Config, "Registered all the same")]
