"""Autoregressive models: exact likelihoods, one pixel at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genbench import DataSpec, ModelSpec, hookimpl
from genbench_autoregressive.config import NGramConfig, PixelCNNConfig, PixelCNNPPConfig, TransformerConfig
from genbench_blocks.support import labelled, small_images


def for_larger_images(data: DataSpec) -> Mapping[str, object]:
    """A block sees a row further up: larger images need more of them, and the features to carry what they see."""
    return {"blocks": 6, "channels": 32, "batch_size": 16} if data.is_image and max(data.shape[1:]) > 16 else {}


def for_smaller_images(data: DataSpec) -> Mapping[str, object]:
    """Of images of 8 x 8 a quarter of the resolution has 2 x 2 places: too few to be worth their blocks."""
    return {"scales": 2} if data.is_image and max(data.shape[1:]) <= 16 else {}


def for_attention(data: DataSpec) -> Mapping[str, object]:
    """Attention within rows where an image has too many pixels for all, and logistics for data of eight bits."""
    if not data.is_image:
        tables = {"side": 5, "gram_dropout": 0.4, "weight_decay": 0.3}
        return {"batch_size": 128, "layers": 1, "expansion": 2, "lr": 8e-3, "end": 1, **tables}
    if max(data.shape[1:]) <= 16:
        return {"batch_size": 16, "lr": 6e-3}
    fine = {"logistics": 10} if data.levels > 64 else {}
    return {"batch_size": 8, "width": 64, "rows": 2, "above": 3, "side": 4, "lr": 6e-3, **fine}


def small_images_or_sequences(data: DataSpec) -> str | None:
    return small_images(data) if data.is_image else None


def sequences(data: DataSpec) -> str | None:
    return f"is made for sequences (L,), not for images of shape {data.shape}" if data.is_image else None


@hookimpl
def register_models() -> Sequence[ModelSpec]:
    return [
        ModelSpec(
            name="pixelcnn",
            factory="genbench_autoregressive.pixelcnn:PixelCNN",
            config=PixelCNNConfig,
            summary="Gated PixelCNN: two causal stacks, exact likelihood",
            reference="van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016, "
            "arXiv:1606.05328",
            likelihood="exact",
            defaults=for_larger_images,
            supports=small_images,
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="cpixelcnn",
            factory="genbench_autoregressive.pixelcnn:ConditionalPixelCNN",
            config=PixelCNNConfig,
            summary="class-conditional Gated PixelCNN: the class enters every gate, exact likelihood",
            reference="van den Oord et al., Conditional Image Generation with PixelCNN Decoders, 2016, "
            "arXiv:1606.05328",
            likelihood="exact",
            conditional=True,
            defaults=for_larger_images,
            supports=labelled(small_images),
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="pixelcnn-pp",
            factory="genbench_autoregressive.pixelcnn_pp:PixelCNNPP",
            config=PixelCNNPPConfig,
            summary="PixelCNN++: mixtures of discretised logistics from residual blocks at several resolutions, "
            "exact likelihood",
            reference="Salimans et al., PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture "
            "Likelihood and Other Modifications, 2017, arXiv:1701.05517",
            likelihood="exact",
            defaults=for_smaller_images,
            supports=small_images,
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="transformer",
            factory="genbench_autoregressive.transformer:Transformer",
            config=TransformerConfig,
            summary="Causal self-attention over pixels or letters, exact likelihood",
            reference="Parmar et al., Image Transformer, 2018, arXiv:1802.05751; Vaswani et al., Attention Is All You "
            "Need, 2017, arXiv:1706.03762",
            likelihood="exact",
            defaults=for_attention,
            supports=small_images_or_sequences,
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="ctransformer",
            factory="genbench_autoregressive.transformer:ConditionalTransformer",
            config=TransformerConfig,
            summary="Class-conditional transformer over pixels or letters, exact likelihood",
            reference="Parmar et al., Image Transformer, 2018, arXiv:1802.05751",
            likelihood="exact",
            conditional=True,
            defaults=for_attention,
            supports=labelled(small_images_or_sequences),
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="ngram",
            factory="genbench_autoregressive.ngram:NGram",
            config=NGramConfig,
            summary="Class-conditional letter n-gram: counts of the letters before, interpolated Kneser-Ney smoothing",
            reference="Kneser and Ney, Improved backing-off for m-gram language modeling, 1995, "
            "doi:10.1109/ICASSP.1995.479394",
            likelihood="exact",
            conditional=True,
            max_epochs=1,
            supports=labelled(sequences),
            code=("genbench_blocks",),
        ),
    ]
