"""Building blocks that several first-party model plugins share. Registers nothing.

A model that uses them names ``genbench_blocks`` in its spec's ``code``, so that a change here makes its runs stale.
"""
