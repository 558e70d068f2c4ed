"""The recurrent GAN given labels: rows of images of a class, letters of words of a language."""

from __future__ import annotations

from genbench_gan.rnn_gan import RNNGAN


class CRNNGAN(RNNGAN):
    """The label's embedding is added to z and projected in the discriminator (Miyato, Koyama 2018,
    arXiv:1802.05637); all else is :class:`genbench_gan.rnn_gan.RNNGAN`."""

    conditional = True
