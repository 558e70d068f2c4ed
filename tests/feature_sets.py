"""Sets of features that metrics are held to: ordinary ones and all that arithmetic may trip over."""

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


def gaussian(n: int, d: int, seed: int, scale: float = 1.0, shift: float = 0.0, rank: int | None = None) -> np.ndarray:
    """float32 ``[n, d]`` of a Gaussian with a spectrum that falls off, in a subspace of the given rank."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(rank or d, d)) / np.arange(1, (rank or d) + 1)[:, None]
    return (scale * generator.normal(size=(n, rank or d)) @ mixing + shift).astype(np.float32)


def collapsed(n: int, d: int, seed: int) -> np.ndarray:
    """One point, n times."""
    return np.repeat(gaussian(1, d, seed), n, axis=0)


def clusters(n: int, d: int, seed: int, spread: float) -> np.ndarray:
    """Eight clusters, far apart when measured by their spread: modes that a generator keeps repeating."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(8, d))[generator.integers(0, 8, n)]
    return (centres + spread * generator.normal(size=(n, d))).astype(np.float32)


def duplicated(x: np.ndarray, seed: int) -> np.ndarray:
    """Draws of its rows with replacement."""
    return x[np.random.default_rng(seed).integers(0, len(x), len(x))]


def rectified(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Zero or more and sparse, as pooled activations are."""
    return np.maximum(gaussian(n, d, seed, shift=shift), 0)


def heavy(n: int, d: int, seed: int) -> np.ndarray:
    """A few points very far out."""
    return np.random.default_rng(seed).standard_t(1.5, size=(n, d)).astype(np.float32)


def root_of(cov: np.ndarray) -> np.ndarray:
    """F, ``[d, d]``, with F^T F = cov."""
    values, vectors = np.linalg.eigh(cov)
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


PAIRS: dict[str, Pair] = {
    "shuffled": (gaussian(300, 16, 0), gaussian(300, 16, 0)[::-1].copy()),
    "alike": (gaussian(300, 16, 40), gaussian(300, 16, 41)),
    "shifted": (gaussian(300, 16, 1, shift=0.7), gaussian(300, 16, 2)),
    "wider": (gaussian(250, 32, 3, scale=3.0), gaussian(250, 32, 4)),
    "far apart": (gaussian(200, 8, 5, shift=40.0), gaussian(200, 8, 6)),
    "low rank": (gaussian(300, 24, 7, rank=3), gaussian(300, 24, 8)),
    "both low rank": (gaussian(300, 24, 9, rank=4), gaussian(300, 24, 10, rank=4)),
    "fewer samples than dimensions": (gaussian(30, 64, 11), gaussian(30, 64, 12)),
    "fewer samples on one side": (gaussian(30, 64, 42), gaussian(300, 64, 43)),
    "collapsed": (collapsed(200, 16, 13), gaussian(200, 16, 14)),
    "nearly collapsed": (collapsed(200, 16, 15) + gaussian(200, 16, 16, scale=1e-3), gaussian(200, 16, 17)),
    "collapsed on a real example": (np.repeat(gaussian(200, 16, 44)[:1], 200, axis=0), gaussian(200, 16, 44)),
    "both collapsed alike": (collapsed(100, 16, 45), collapsed(100, 16, 45)),
    "both collapsed apart": (collapsed(100, 16, 46), collapsed(100, 16, 47)),
    "identical": (gaussian(200, 16, 18), gaussian(200, 16, 18)),
    "identical with duplicates": (duplicated(gaussian(200, 16, 48), 0), duplicated(gaussian(200, 16, 48), 0)),
    "copies of real examples": (duplicated(gaussian(200, 16, 49), 1), gaussian(200, 16, 49)),
    "tight clusters": (clusters(240, 32, 50, 1e-3), clusters(240, 32, 51, 1e-3)),
    "a far centre": (gaussian(200, 16, 52, shift=100.0), gaussian(200, 16, 53, shift=100.0)),
    "rectified": (rectified(300, 48, 54, shift=0.05), rectified(300, 48, 55)),
    "heavy tails": (heavy(200, 12, 56), heavy(200, 12, 57)),
    "two dimensions": (gaussian(150, 2, 58), gaussian(150, 2, 59)),
    "more samples than a tile": (gaussian(700, 40, 60), gaussian(1100, 40, 61, scale=1.1)),
}
