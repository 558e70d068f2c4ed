"""What both evaluators of 8x8 digits take."""

from __future__ import annotations

from genbench_benchmarks.evaluators.extractor import ImageExtractor

LEVELS = 17


class DigitsExtractor(ImageExtractor):
    """Base of extractors of grey 8x8 images of 17 levels."""

    shape = (1, 8, 8)
    levels = LEVELS


scale = DigitsExtractor.scale
