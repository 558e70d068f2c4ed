"""Which data a family is made for; light, since hook modules import it."""

from __future__ import annotations

from collections.abc import Callable

from genbench import DataSpec

LARGEST = 64


def small_images(data: DataSpec) -> str | None:
    """None for images (C, H, W) of sides up to 64, else the reason why not, as ``ModelSpec.supports`` gives it."""
    if not data.is_image:
        return f"is made for images (C, H, W), not for examples of shape {data.shape}"
    if max(data.shape[1:]) > LARGEST:
        return f"is made for images of sides up to {LARGEST}, not {data.shape[1]}x{data.shape[2]}"
    return None


def any_data(data: DataSpec) -> str | None:
    return None


def labelled(supports: Callable[[DataSpec], str | None] = any_data) -> Callable[[DataSpec], str | None]:
    """``ModelSpec.supports`` of a model that needs labels beside what ``supports`` asks for."""

    def reason(data: DataSpec) -> str | None:
        return "needs labels, which the data do not carry" if data.classes is None else supports(data)

    return reason
