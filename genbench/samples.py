"""Samples as a notebook has them: an array that shows itself as a picture or as texts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genbench.specs import DatasetSpec

SHOWN = 100
"""Samples that a notebook shows: the first ones."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of a run.

    Attributes:
        run: whose they are.
        dataset: what they are samples of.
        array: uint8 ``[n, C, H, W]`` or ``[n, L]``, values 0 to ``dataset.data.levels - 1``.
        labels: int64 ``[n]``, the classes that were asked for; None for an unconditional model.
    """

    run: str
    dataset: DatasetSpec
    array: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.array)

    @property
    def texts(self) -> list[str]:
        """Each sample as a line of text.

        Raises:
            ValueError: if the data have no alphabet.
        """
        from genbench.engine.spelling import spelled

        if not self.dataset.alphabet:
            raise ValueError(f"the samples of {self.run} are no texts: {self.dataset.name} has no alphabet")
        return spelled(self.array, self.dataset.alphabet)

    def png(self, n: int = SHOWN, columns: int | None = None) -> bytes:
        """The first ``n`` images as one PNG, enlarged without smoothing.

        Args:
            columns: images a row; by default a grid about as wide as high.

        Raises:
            ValueError: if the samples are no images of 1 or 3 channels.
        """
        from genbench.engine.grid import write_grid

        with tempfile.TemporaryDirectory(prefix="genbench-") as folder:
            path = Path(folder, "grid.png")
            write_grid(self.array[:n], self.dataset.data, path, columns)
            return path.read_bytes()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.array.shape))
        return f"<Samples of {self.run}: uint8 {shape}>"

    def _repr_png_(self) -> bytes | None:
        """A grid of the first images; nothing where they are none that a PNG can show."""
        data = self.dataset.data
        return self.png() if data.is_image and data.shape[0] in (1, 3) else None

    def _repr_html_(self) -> str | None:
        """A table of the first texts; nothing where the samples are none."""
        if not self.dataset.alphabet:
            return None
        from genbench.report.html import page, simple_table

        names = self.dataset.class_names
        labels = [] if self.labels is None else [int(label) for label in self.labels[:SHOWN]]
        classes = [names[label] if names else str(label) for label in labels]
        texts = self.texts[:SHOWN]
        rows = [list(row) for row in zip(texts, classes, strict=True)] if classes else [[of] for of in texts]
        header = ["Sample", *["Class asked for"] * bool(classes)]
        return page(f"{len(self)} samples of {self.run}", simple_table(header, rows))
