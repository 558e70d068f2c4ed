"""What plugins declare: data, data sets, models, evaluators, metrics and budgets, as frozen dataclasses.

Nothing here imports torch. A ``factory`` or ``loader`` is an import string ``"package.module:name"``
that only a worker process resolves, so that listing what is installed costs nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genbench.errors import SpecError

LikelihoodKind = Literal["exact", "importance", "bound", "estimate"]
"""How a model's ``log_prob`` relates to log P(x); see :class:`genbench.model.Model`."""

LIKELIHOOD_KINDS: tuple[LikelihoodKind, ...] = ("exact", "importance", "bound", "estimate")

Direction = Literal["lower", "higher", "none"]
"""Which way a score improves; ``none`` for a score that only describes."""

MetricGroup = Literal["quality", "likelihood", "control", "copying"]
"""What a metric says something about; ``control`` is obedience to the label asked for."""

FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Of a data set's file: nothing that leads out of a folder."""
SHA256 = re.compile(r"[0-9a-f]{64}")

Division = Literal["closed", "open"]
"""``closed``: trained by genbench under the benchmark's budget. ``open``: samples from outside, scored as a run's."""

Precision = Literal["float32", "bf16"]
"""Of the arithmetic in training and sampling."""


@dataclass(frozen=True)
class DataSpec:
    """The shape of one example: all that a model may know of the data before training.

    Attributes:
        shape: ``(C, H, W)`` for images, ``(L,)`` for sequences.
        levels: number of values a dimension takes; the data are uint8 in ``0 .. levels - 1``.
        classes: number of classes, or None where the data carry no labels.
    """

    shape: tuple[int, ...]
    levels: int = 256
    classes: int | None = None

    def __post_init__(self) -> None:
        if len(self.shape) not in (1, 3) or any(size < 1 for size in self.shape):
            raise SpecError(f"shape must be (C, H, W) or (L,) with sizes of 1 or more, not {self.shape}")
        if not 2 <= self.levels <= 256:
            raise SpecError(f"levels must be 2 to 256, since data are uint8; not {self.levels}")
        if self.classes is not None and self.classes < 1:
            raise SpecError(f"classes must be 1 or more, or None for data without labels; not {self.classes}")

    @property
    def dims(self) -> int:
        """D, the number of dimensions of one example; the divisor in bits/dim."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


@dataclass(frozen=True)
class DataFile:
    """One of the files that a data set is read from, where it does not come with a package.

    Attributes:
        name: of the file, in the cache and wherever else it is looked for.
        sha256: hash of the file, 64 hex digits; a file with another is passed over.
        size: its bytes; no larger file is read.
        urls: where it is downloaded from, tried in this order.
        repacked: hashes of the same content packed anew, as by a distribution that compresses it without a date.
    """

    name: str
    sha256: str
    size: int
    urls: tuple[str, ...] = ()
    repacked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for sha256 in (self.sha256, *self.repacked):
            _check_sha256(sha256, f"file {self.name!r}")


def _check_sha256(sha256: str, where: str) -> None:
    """
    Raises:
        SpecError: if it is not written as :mod:`hashlib` writes one: any other would never be found equal.
    """
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
        raise SpecError(f"{where}: a SHA-256 is 64 lower-case hexadecimal digits, not {sha256!r}")


def files_sha256(name: str, files: tuple[DataFile, ...], loader_version: int = 1) -> str:
    """SHA-256 (64 hex digits) of a data set's name, loader's version, and files: ``identified_by="files"``."""
    lines = [
        f"genbench data files 2 {name}",
        f"loader {loader_version}",
        *(f"{file.sha256} {file.name}" for file in files),
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class DatasetSpec:
    """A data set with fixed splits, identified by the hash of its content.

    Attributes:
        name: what a benchmark calls it.
        data: shape, levels and classes of an example.
        loader: ``"package.module:function"``; returns ``{"train": (x, labels), "test": (x, labels)}`` with ``x`` a
            uint8 array ``[N, *shape]`` and ``labels`` an int64 array ``[N]``, or None where ``data.classes`` is None.
            It is called without arguments; where there are ``files``, with a mapping of their names to paths of
            files that have the declared hashes; where there is a ``source``, with its path.
        sha256: hash of the content as :func:`genbench.engine.data.content_sha256` computes it, checked before any run;
            with ``identified_by="files"`` what :func:`files_sha256` gives.
        train, test: the number of examples of each split.
        summary, licence, citation, url: prose for people.
        files: what the loader reads, found on this machine or downloaded before it is called.
        folders: folders of this machine where ``files`` may stand, beside genbench's own.
        package: what puts them there, for people: ``Debian's package dataset-fashion-mnist``.
        source: path of what a person registered with ``genbench data add``.
        alphabet: of a text, what each level is shown as, one a level; empty for other data.
        class_names: what each class is called, one a class, or empty.
        identified_by: ``files`` where whoever declared the data set knew the published hashes of its files, but not
            that of its content. Files and ``loader_version`` then stand for the content.
        loader_version: 1 or more; raised with any change of the loader that gives other content from the same files,
            which is then another data set. Without a meaning where the content identifies the data set.
        same_files: names of other data sets that declare some of the same ``files``, which are then looked for in
            their folders too, so that nothing is downloaded twice.
    """

    name: str
    data: DataSpec
    loader: str
    sha256: str
    train: int
    test: int
    summary: str = ""
    licence: str = ""
    citation: str = ""
    url: str = ""
    files: tuple[DataFile, ...] = ()
    folders: tuple[str, ...] = ()
    package: str = ""
    source: str = ""
    alphabet: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    identified_by: Literal["content", "files"] = "content"
    loader_version: int = 1
    same_files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_sha256(self.sha256, f"data set {self.name!r}")
        if self.files and self.source:
            raise SpecError(f"data set {self.name!r}: has files and a source; the loader takes one of them")
        identity = files_sha256(self.name, self.files, self.loader_version)
        if self.identified_by == "files" and self.sha256 != identity:
            raise SpecError(
                f"data set {self.name!r}: is identified by its files, so sha256 must be that of files_sha256 with its "
                "name, files and loader_version"
            )
        for key, names, count in (
            ("alphabet", self.alphabet, self.data.levels),
            ("class_names", self.class_names, self.data.classes),
        ):
            if names and len(names) != count:
                raise SpecError(f"data set {self.name!r}: {key} must name {count}, and names {len(names)}")
        for name in (*(file.name for file in self.files), *self.same_files):
            if not FILE_NAME.fullmatch(name):
                raise SpecError(f"data set {self.name!r}: {name!r} is no plain name of a file or data set")


def always_supported(data: DataSpec) -> str | None:
    return None


def no_changes(data: DataSpec) -> Mapping[str, object]:
    return {}


@dataclass(frozen=True)
class ModelSpec:
    """One model: architecture, training recipe and configuration under a name.

    Attributes:
        name: lower-case, ``[a-z0-9][a-z0-9._-]*``; unique over all plugins.
        factory: ``"package.module:Class"`` or the class itself, built as ``factory(config, data, device)``
            with a :class:`DataSpec` and a ``torch.device``; it has the methods of
            :class:`genbench.model.Model`.
        config: a frozen dataclass of plain values (int, float, str, bool) with a default each and a
            ``batch_size`` of 1 or more. ``vae[width=64]`` on the command line changes a field.
        summary: one line for ``genbench list``.
        reference: the paper, as a person would cite it, with an arXiv number or a DOI where there is one.
        likelihood: the kind of ``log_prob``, or None for a model without one.
        conditional: whether ``sample`` and ``log_prob`` take labels. Then they always get them.
        max_epochs: the most passes over the training data that are of use; 0 when there is nothing to
            train, 1 for a histogram, None for no limit but the budget. No example is handed out more
            often than this; an incomplete last batch is left out.
        defaults: maps the data's spec to changes of the config's defaults, applied before the user's.
        supports: maps the data's spec to None, or to the reason why the model can't be used on it.
        code: further top-level packages that the model is made of, hashed together with the plugin's own.
    """

    name: str
    factory: str | type
    config: type
    summary: str
    reference: str = ""
    likelihood: LikelihoodKind | None = None
    conditional: bool = False
    max_epochs: int | None = None
    defaults: Callable[[DataSpec], Mapping[str, object]] = no_changes
    supports: Callable[[DataSpec], str | None] = always_supported
    code: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvaluatorSpec:
    """A frozen feature extractor, named with the hash of its weights.

    Attributes:
        name: what a benchmark and a table's column call it, with a version: ``digits-cnn-v1``.
        factory: ``"package.module:Class"``, a subclass of torch-fidelity's ``FeatureExtractorBase`` built
            as ``factory(name, features_list, weights=path)``. Its forward takes uint8 ``[B, *shape]``, or RGB
            images where ``rgb`` says so, and returns the requested features as a tuple of float32 tensors.
        weights: path of the file of weights; empty where it does not ship, and then filled in before the first run
            with a file that has the hash, given or found or downloaded.
        sha256: hash of that file, 64 hex digits; checked whenever it is loaded. Empty if there is no such file at all.
        features: name of the feature layer for FID, KID, precision and recall.
        logits: name of the layer of class logits for IS, or None for an extractor that has none.
        dims: number of features.
        shape, levels: the data that it takes. With ``rgb`` those of the benchmark that names it, filled in when that
            is loaded; ``()`` and 256 before.
        batch_size: images a forward pass; fixed, since it changes the last bits of the features.
        summary: one line for ``genbench list``, with the test accuracy of a classifier.
        rgb: whether it takes uint8 ``[B, 3, H, W]`` of 256 levels and of any size. The core brings images of 1 or 3
            channels and fewer levels into that form: see :func:`genbench.engine.scoring.evaluators.as_rgb`.
        url, file: where weights that do not ship are downloaded from, and the name of their file in caches.
        references: paths of files with reference statistics that a person gave, to be used instead of the cache.
    """

    name: str
    factory: str
    weights: str
    sha256: str
    features: str
    logits: str | None
    dims: int
    shape: tuple[int, ...]
    levels: int
    batch_size: int = 500
    summary: str = ""
    rgb: bool = False
    url: str = ""
    file: str = ""
    references: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sha256 or self.weights or self.url or self.file:
            _check_sha256(self.sha256, f"evaluator {self.name!r}")


@dataclass(frozen=True)
class MetricSpec:
    """A metric: a pure function of what the scoring process holds, giving one number.

    Attributes:
        name: its key in a record, ``fid``.
        title: its column's title, ``FID``.
        function: ``"package.module:function"``, called with a
            :class:`genbench.engine.scoring.material.Material` and returning a
            :class:`genbench.engine.scoring.material.Measured`, or None where it does not apply to the model.
        direction: which way it improves.
        group: what it says something about; groups stand together in tables.
        unit: unit of the value, empty for a pure number.
        log_scale: whether intervals over seeds are taken of its logarithm (positive, skewed scores).
        needs_logits: whether it reads the evaluator's class logits; a benchmark whose evaluator has none can't have it.
        needs_classes: whether it takes the classes of these logits for the data's own; a benchmark whose evaluator was
            trained on other classes (``rgb``) can't have it.
        needs_sequences: whether it is of sequences, such as words; a benchmark on images can't have it.
        least_samples: the fewest samples that it can be computed from; a benchmark that scores fewer is refused.
            Metrics of the group ``copying``, which are not taken at milestones, are held to ``samples.n`` only.
        least_training, least_held_out: the same of the data's training and held-out examples.
        both_evaluators: whether it is taken with the benchmark's second evaluator too, in a column of its own.
        tells_apart: chains of rungs of the calibration ladder that it must order, ``"noise-1>noise-2"``; see
            :func:`genbench.rungs.claims_of`.
        blind_to: pairs that it does not see, ``"a=b"``, or takes the wrong way round, ``"a<b"``. Both are verified by
            ``genbench doctor --calibrate``.
        reference: the paper.
        summary: one line for ``genbench list``.
    """

    name: str
    title: str
    function: str
    direction: Direction
    group: MetricGroup = "quality"
    unit: str = ""
    log_scale: bool = False
    needs_logits: bool = False
    needs_classes: bool = False
    needs_sequences: bool = False
    least_samples: int = 2
    least_training: int = 1
    least_held_out: int = 6
    both_evaluators: bool = False
    tells_apart: tuple[str, ...] = ()
    blind_to: tuple[str, ...] = ()
    reference: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Budget:
    """What one run may spend. Training ends at ``images`` or ``flops``, whichever comes first.

    Attributes:
        images: training images handed to ``train_step``.
        flops: floating-point operations dispatched by torch while training, 2 for a multiply-add; None
            for no limit.
        seconds: training clock at which training stops early and the last state is scored.
        grace: seconds after ``seconds`` at which a stage that has not ended is killed, and the whole time
            allowed to evaluation and to scoring beyond ``seconds``.
        memory: bytes of resident memory of the run's processes.
        parameters: the most trainable numbers a model may hold.
        threads: CPU threads a run.
        device: ``cpu`` or ``cuda``.
        device_memory: bytes of memory on the device; None for no limit.
        precision: ``bf16`` runs ``train_step``, what autograd does in it included, and ``sample`` under autocast to
            bfloat16. Weights stay float32, and so does ``log_prob``.
        compile: whether the model's networks are compiled for training by ``torch.compile``.
        runs_per_device: runs that may share a device; with 1 each has one to itself.
    """

    images: int
    flops: float | None
    seconds: float
    memory: int
    parameters: int
    grace: float = 60.0
    threads: int = 1
    device: Literal["cpu", "cuda"] = "cpu"
    device_memory: int | None = None
    precision: Precision = "float32"
    compile: bool = False
    runs_per_device: int = 1


def resolve_config(spec: ModelSpec, data: DataSpec, overrides: Mapping[str, object]) -> Any:
    """The configuration of a run: the dataclass's defaults, the spec's for this data, the user's.

    Raises:
        SpecError: if a name is not a field of the config, or a value is not of its type or not finite.
    """
    changes: dict[str, object] = {**spec.defaults(data), **overrides}
    fields = {field.name: field for field in dataclasses.fields(spec.config)}
    defaults = spec.config()
    for key, value in changes.items():
        if key not in fields:
            raise SpecError.unknown(f"option of {spec.name}", key, fields)
        wanted = type(getattr(defaults, key))
        if wanted is float and type(value) is int:
            changes[key] = _to_float(spec.name, key, value)
        elif type(value) is not wanted:
            raise SpecError(
                f"{spec.name}[{key}={value}]: {key} takes a value of type {wanted.__name__}, such as "
                f"{getattr(defaults, key)!r}; {value!r} is of type {type(value).__name__}"
            )
    try:
        config = dataclasses.replace(defaults, **changes)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{spec.name}: its configuration refused {changes}: {error}") from error
    if not isinstance(getattr(config, "batch_size", None), int) or config.batch_size < 1:
        raise SpecError(f"{spec.name}: batch_size must be a whole number of 1 or more")
    for key in fields:
        value = getattr(config, key)
        if isinstance(value, float) and not math.isfinite(value):
            raise SpecError(f"{spec.name}: {key} must be finite, not {value}: no record can hold it")
    return config


def _to_float(name: str, key: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise SpecError(f"{name}: {key} is larger than any float") from None
