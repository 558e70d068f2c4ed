"""Autoencoders: four VAEs, which have a likelihood, and ``ae-gmm``, which shows how far one comes without variational
terms. The hook module: light, since every ``genbench`` command imports it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genbench import DataSpec, ModelSpec, hookimpl
from genbench_blocks.support import labelled, small_images
from genbench_vae.config import AEGMMConfig, BetaVAEConfig, CVAEConfig, HVAEConfig, VAEConfig


def for_larger_images(data: DataSpec) -> Mapping[str, object]:
    """A longer code where there is more to say; the configurations' own defaults suit 8x8 images."""
    return {"latent": 64} if data.is_image and max(data.shape[1:]) > 16 else {}


def for_variational(data: DataSpec) -> Mapping[str, object]:
    """For larger images a longer code, and more and smaller steps for the same budget; for the smallest a KL term that
    rises for most of their few steps, since one that comes early leaves the code unused. More logistics a pixel for
    eight bits."""
    larger = for_larger_images(data)
    of_size = {**larger, "batch_size": 32} if larger else {"kl_warmup": 0.8}
    return {**of_size, **({"logistics": 5} if data.levels > 32 else {})}


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
            defaults=for_variational,
            supports=small_images,
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="beta-vae",
            factory="genbench_vae.beta_vae:BetaVAE",
            config=BetaVAEConfig,
            summary="The same VAE under a standard normal prior, its KL term weighted by beta; scored at beta = 1",
            reference="Higgins et al., beta-VAE: Learning Basic Visual Concepts with a Constrained Variational "
            "Framework, 2017, https://openreview.net/forum?id=Sy2fzU9gl",
            likelihood="importance",
            defaults=for_variational,
            supports=small_images,
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="cvae",
            factory="genbench_vae.cvae:CVAE",
            config=CVAEConfig,
            summary="Class-conditional VAE: the label in the encoder, the decoder and the mixture prior",
            reference="Sohn et al., Learning Structured Output Representation using Deep Conditional Generative "
            "Models, 2015, NeurIPS 28; Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, "
            "arXiv:1406.5298",
            likelihood="importance",
            conditional=True,
            defaults=for_variational,
            supports=labelled(small_images),
            code=("genbench_blocks",),
        ),
        ModelSpec(
            name="hvae",
            factory="genbench_vae.hvae:HVAE",
            config=HVAEConfig,
            summary="Hierarchical VAE: groups of latents from coarse to fine, top-down inference",
            reference="Sonderby et al., Ladder Variational Autoencoders, 2016, arXiv:1602.02282; with the residual "
            "posteriors of Vahdat and Kautz, NVAE, 2020, arXiv:2007.03898",
            likelihood="importance",
            defaults=for_variational,
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
