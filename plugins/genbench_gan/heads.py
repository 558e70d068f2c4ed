"""Discriminators: any body that turns an example into features, and a head on them.

A body is a module with an attribute ``size``: ``[B, ...]`` -> features ``[B, size]``, each of its own example only.
"""

from __future__ import annotations

from torch import Tensor, nn

from genbench_gan.norms import normalised


class Discriminator(nn.Module):
    """An example to its logit of being real.

    Args:
        body: the features.
        spectral: whether the head is spectrally normalised.
    """

    def __init__(self, body: nn.Module, spectral: bool = False) -> None:
        super().__init__()
        self.body = body
        self.head = normalised(nn.Linear(body.size, 1), spectral)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, ...]`` -> ``[B]``."""
        return self.head(self.body(x)).squeeze(1)


class ProjectionDiscriminator(nn.Module):
    """logit(x, y) = v_y . phi(x) + psi(phi(x)) (Miyato, Koyama 2018, arXiv:1802.05637, eq. 4): how real x is, and how
    much of class y.

    Args:
        body: phi.
        classes: number of classes.
        spectral: whether psi and v are spectrally normalised.
    """

    def __init__(self, body: nn.Module, classes: int, spectral: bool = False) -> None:
        super().__init__()
        self.body = body
        self.head = normalised(nn.Linear(body.size, 1), spectral)
        embedding = nn.Embedding(classes, body.size)
        # As large as a linear layer's weights; the default of 1 an entry would drown psi.
        nn.init.normal_(embedding.weight, std=body.size**-0.5)
        self.embedding = normalised(embedding, spectral)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """``[B, ...]`` and int64 ``[B]`` -> ``[B]``."""
        features = self.body(x)
        return (self.embedding(labels) * features).sum(1) + self.head(features).squeeze(1)
