"""A plugin whose hook never returns."""

import time

from genbench import hookimpl


@hookimpl
def register_models():
    time.sleep(3600)
