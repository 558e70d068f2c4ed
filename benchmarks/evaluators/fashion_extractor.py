"""What both evaluators of Fashion-MNIST take."""

from __future__ import annotations

from genbench_benchmarks.evaluators.extractor import ImageExtractor


class FashionExtractor(ImageExtractor):
    """Base of extractors of grey 28x28 images of 256 levels."""

    shape = (1, 28, 28)
    levels = 256
