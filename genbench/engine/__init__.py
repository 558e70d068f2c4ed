"""The code that imports torch: it runs only in worker processes, started by :mod:`genbench.executors`."""
