"""Autoencoders: ``vae`` with a likelihood, and ``ae-gmm``, which shows how far one comes without variational terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genbench import DataSpec, ModelSpec, hookimpl
from genbench_blocks.support import small_images
from genbench_vae.config import AEGMMConfig, VAEConfig


def for_larger_images(data: DataSpec) -> Mapping[str, object]:
    """A longer code where there is more to say; the configurations' own defaults suit 8x8 images."""
    return {"latent": 64} if data.is_image and max(data.shape[1:]) > 16 else {}


def for_levels_and_size(data: DataSpec) -> Mapping[str, object]:
    """Beside the longer code, more logistics a pixel for data of eight bits."""
    return {**for_larger_images(data), **({"logistics": 5} if data.levels > 32 else {})}


@hookimpl
def register_models() -> Sequence[ModelSpec]:
    return [
        ModelSpec(
            name="vae",
            factory="genbench_vae.vae:VAE",
            config=VAEConfig,
            summary="Convolutional VAE with discrete pixels and a learnt mixture prior",
            reference="Kingma and Welling, Auto-Encoding Variational Bayes, 2014, arXiv:1312.6114; "
            "the prior of Tomczak and Welling, VAE with a VampPrior, 2018, arXiv:1705.07120",
            likelihood="importance",
            defaults=for_levels_and_size,
            supports=small_images,
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="ae-gmm",
            factory="genbench_vae.ae_gmm:AutoencoderMixture",
            config=AEGMMConfig,
            summary="Deterministic autoencoder, a Gaussian mixture fitted on its codes",
            reference="Ghosh et al., From Variational to Deterministic Autoencoders, 2020, arXiv:1903.12436",
            defaults=for_larger_images,
            supports=small_images,
            code=("genbench_blocks",),
        ),
    ]
