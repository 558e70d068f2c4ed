"""Declarations of published image data sets whose files do not ship: where they stand, and their published hashes.

The addresses are those of torchvision.datasets and of the authors.
"""

from __future__ import annotations

from genbench import DataFile, DatasetSpec, DataSpec
from genbench.specs import files_sha256


def idx_files(mirrors: tuple[str, ...], files: dict[str, tuple[int, str, tuple[str, ...]]]) -> tuple[DataFile, ...]:
    """Files by name, each with its bytes, its SHA-256 and those of it packed anew; each mirror ends with a slash."""
    return tuple(
        DataFile(name, sha256, size, tuple(mirror + name for mirror in mirrors), repacked)
        for name, (size, sha256, repacked) in files.items()
    )


FASHION_MNIST_FILES = idx_files(
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    {
        "train-images-idx3-ubyte.gz": (
            26421880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ("b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",),
        ),
        "train-labels-idx1-ubyte.gz": (
            29515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ("0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",),
        ),
        "t10k-images-idx3-ubyte.gz": (
            4422102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ("cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",),
        ),
        "t10k-labels-idx1-ubyte.gz": (
            5148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ("8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",),
        ),
    },
)
"""Packed anew are those of Debian's package dataset-fashion-mnist, 0.0~git20200523.55506a9."""

MNIST_FILES = idx_files(
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    {
        "train-images-idx3-ubyte.gz": (
            9912422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            (),
        ),
        "train-labels-idx1-ubyte.gz": (
            28881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            (),
        ),
        "t10k-images-idx3-ubyte.gz": (
            1648877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            (),
        ),
        "t10k-labels-idx1-ubyte.gz": (
            4542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            (),
        ),
    },
)

CIFAR10_FILES = (
    DataFile(
        "cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        170052171,
        ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    ),
)
"""The binary version: the same images as torchvision's, without the pickles."""

PUBLISHED_IMAGES = (
    DatasetSpec(
        name="fashion-mnist",
        data=DataSpec(shape=(1, 28, 28), levels=256, classes=10),
        loader="genbench_benchmarks.idx:load",
        sha256="bb5feb1e8e105ba8413ce0378702d3e66bcddc62046acca309d5eb8e7edf3397",
        train=60000,
        test=10000,
        summary="28x28 grey images of clothes from Zalando's catalogue, 10 classes",
        licence="MIT",
        citation="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine "
        "learning algorithms, arXiv:1708.07747, 2017",
        url="https://github.com/zalandoresearch/fashion-mnist",
        files=FASHION_MNIST_FILES,
        folders=("/usr/share/datasets/fashion-mnist",),
        package="Debian's package dataset-fashion-mnist",
    ),
    DatasetSpec(
        name="mnist",
        data=DataSpec(shape=(1, 28, 28), levels=256, classes=10),
        loader="genbench_benchmarks.idx:load",
        sha256=files_sha256("mnist", MNIST_FILES),
        train=60000,
        test=10000,
        summary="28x28 grey images of handwritten digits, 10 classes",
        licence="CC BY-SA 3.0",
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document "
        "recognition, Proceedings of the IEEE 86(11), 1998, doi:10.1109/5.726791",
        url="http://yann.lecun.com/exdb/mnist/",
        files=MNIST_FILES,
        identified_by="files",
        same_files=("stacked-mnist",),
    ),
    DatasetSpec(
        name="cifar10",
        data=DataSpec(shape=(3, 32, 32), levels=256, classes=10),
        loader="genbench_benchmarks.cifar10:load",
        sha256=files_sha256("cifar10", CIFAR10_FILES),
        train=50000,
        test=10000,
        summary="32x32 colour photographs of animals and vehicles, 10 classes",
        licence="none stated",
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University "
        "of Toronto, 2009",
        url="https://www.cs.toronto.edu/~kriz/cifar.html",
        files=CIFAR10_FILES,
        identified_by="files",
    ),
)
