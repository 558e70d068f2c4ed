"""Leaderboards as a static site: no server, no network at view time; it works from ``file://``.

DIR/index.html                              all benchmarks
DIR/<benchmark>/index.html                  table, charts, samples, downloads
DIR/<benchmark>/<model>/index.html          a model over its seeds
DIR/<benchmark>/<model>/seed-<k>.html       a run; its record beside it as seed-<k>.json
"""

from genbench.report.site.writer import Entry, write

__all__ = ["Entry", "write"]
