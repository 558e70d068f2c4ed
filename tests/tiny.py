"""A benchmark whose runs take a second each, and the records of a results folder."""

from pathlib import Path

from genbench.record import Record
from genbench.store import Store

BENCHMARK = """
name = "tiny"
dataset = "digits"
evaluator = "digits-cnn-v1"
metrics = ["fid", "is", "bits_per_dim"]
seeds = [0, 1]
milestones = [0.5, 1.0]
budget = {images = 800, seconds = 3.0, grace = 1.5, memory_mib = 800, parameters = 1000000}
samples = {n = 64, milestone_n = 32, chunk = 40}
likelihood = {examples = 20, milestone_examples = 10, draws = 2, milestone_draws = 1, chunk = 10}
"""


def records(results: Path) -> dict[str, Record]:
    """Every record of a results folder by ``model/seed``; none may be unreadable."""
    loaded = Store(results).load()
    assert not loaded.unreadable
    return {f"{record.model.name}/{record.seed}": record for record in loaded.records}
