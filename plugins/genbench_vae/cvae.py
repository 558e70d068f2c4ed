"""``cvae``: a class-conditional VAE (Sohn, Lee and Yan 2015, NeurIPS, Learning Structured Output Representation using
Deep Conditional Generative Models; Kingma et al. 2014, arXiv:1406.5298, model M2)."""

from __future__ import annotations

import torch
from torch import nn

from genbench import DataSpec
from genbench_vae.config import CVAEConfig
from genbench_vae.vae import VAE, Networks


class CVAE(VAE):
    """p(x | y) with the label in the encoder q(z | x, y), the decoder p(x | z, y) and the prior p(z | y).

    Raises:
        ValueError: if the data have no classes.
    """

    conditional = True
    config: CVAEConfig

    def __init__(self, config: CVAEConfig, data: DataSpec, device: torch.device) -> None:
        if data.classes is None:
            raise ValueError("cvae needs data with classes")
        super().__init__(config, data, device)

    def networks(self, config: CVAEConfig, data: DataSpec) -> nn.Module:
        return Networks(config, data, data.classes)
