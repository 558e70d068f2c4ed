"""Set before torch starts: tests run two at a time, and their processes must not fight over the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
