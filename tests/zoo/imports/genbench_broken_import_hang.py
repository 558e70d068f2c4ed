"""A plugin that never comes to the end of its import, and holds the interpreter meanwhile."""

import ctypes

ctypes.PyDLL(None).sleep(3600)
