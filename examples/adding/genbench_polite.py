"""An executor, ``genbench run --executor polite``: one run after another, each when the machine has a core to spare."""

import os
import time
from contextlib import contextmanager
from dataclasses import replace

from genbench import hookimpl


@hookimpl
def register_executors():
    return [("polite", "genbench_polite:polite")]


@contextmanager
def polite(setting):
    """What genbench calls: holds the local executor, which starts the processes, for as long as the call takes."""
    from genbench.executors.interface import refuse_unknown
    from genbench.executors.local import local

    refuse_unknown("polite", setting.options, ["below"])
    below = float(setting.options.get("below", os.cpu_count() - 1))
    with local(replace(setting, jobs=1, options={})) as runner:
        yield Polite(runner, below, setting.say)


class Polite:
    """Waits before each run until the load of the last minute is below a limit."""

    jobs = 1

    def __init__(self, runner, below, say):
        self.runner, self.below, self.say = runner, below, say
        self.stopped = False

    def execute(self, runs, observer):
        for run in runs:
            self.wait()
            if self.stopped:
                return
            self.runner.execute([run], observer)

    def wait(self):
        told = False
        while not self.stopped and os.getloadavg()[0] >= self.below:
            if not told:
                self.say(f"waiting for a load below {self.below:g}")
            told = True
            time.sleep(1)

    def cancel(self):
        self.stopped = True
        self.runner.cancel()

    def kill(self):
        self.stopped = True
        self.runner.kill()
