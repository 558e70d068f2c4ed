"""What the likelihood audit spends on large images, and that it holds them to the same."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from audit_jobs import job_for, job_of_spec, worker_settings

from genbench import Batch, DataSpec
from genbench.engine.audit import subject as subjects
from genbench.engine.audit.degenerate import one_pixel
from genbench.engine.audit.known_entropy import FEWEST, FRESH, fit_source, measure
from genbench.engine.audit.subject import Subject
from genbench.engine.audit.synthetic import narrow_source
from genbench.plugins import discover
from genbench_baselines.config import MarginalsConfig


@pytest.fixture(autouse=True)
def worker() -> Iterator[None]:
    with worker_settings():
        yield


LARGE_IMAGES = DataSpec((1, 28, 28), levels=256, classes=10)


class Dear:
    """Multiplies ``SIDE`` x ``SIDE`` matrices as often as it has examples, and counts them."""

    SIDE = 64
    batches: ClassVar[list[int]] = []

    def __init__(self, config: object, data: DataSpec, device: torch.device) -> None:
        self.weight = torch.zeros(self.SIDE, self.SIDE)

    def train_step(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        self.batches.append(len(batch.x))
        return {"loss": sum((self.weight @ self.weight).sum() for _ in range(len(batch.x)))}

    def state_dict(self) -> dict[str, object]:
        return {}

    def load_state_dict(self, state: object) -> None: ...


@pytest.mark.parametrize(("ceiling", "expected"), [(math.inf, 32), (0.5, 16), (1e-3, subjects.FIT_BATCH)])
def test_where_steps_are_dear_batches_are_smaller_but_not_fewer(
    ceiling: float, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_all_steps = 2 * Dear.SIDE**3 * 32 * subjects.FIT_STEPS
    monkeypatch.setattr(subjects, "FIT_CEILING", ceiling * of_all_steps)
    monkeypatch.setattr(subjects, "FIT_FLOPS", 1.0)
    monkeypatch.setattr(Dear, "batches", [])
    job = job_for(tmp_path, f"{__name__}:Dear", MarginalsConfig(batch_size=32), "exact", data=LARGE_IMAGES)
    x, labels = narrow_source(LARGE_IMAGES, by_class=False).draw(200, np.random.default_rng(0))
    subject = Subject(job, seed=0)
    for _ in range(2):  # the second fit knows what the first one found
        subject.fit(x, labels, LARGE_IMAGES)
    steps = 2 * subjects.FIT_STEPS
    assert Dear.batches[-steps:] == [expected] * steps
    assert len(Dear.batches) - steps == (expected < 32)


def test_a_likelihood_of_large_images_is_held_to_the_same_with_fewer_of_them(tmp_path: Path) -> None:
    job = job_of_spec(tmp_path, discover().models["marginals"].spec, LARGE_IMAGES, batch_size=128)
    subject = Subject(job, seed=0)
    assert one_pixel(subject).verdict == "passed"
    source = narrow_source(LARGE_IMAGES, by_class=False)
    excess = measure(subject, fit_source(subject, source), source)
    assert FEWEST <= excess.n < FRESH
    assert excess.smallest_flattery < 0.1 * LARGE_IMAGES.dims * math.log(2.0)
