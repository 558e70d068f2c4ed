"""Models that flatter themselves, one mistake each, on five families; and the table of what the audit makes of them.

    python tests/audit_mutants.py [FAMILY...]

prints the table of docs/audit.md. A mutant is a family's class with another ``log_prob``, or with a part of it
broken in training and evaluation alike. Classes are made at import, so that a job can name them.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "examples" / "genbench-flow" / "src"))

from audit_jobs import DIGITS, job_for  # noqa: E402

from genbench import DataSpec  # noqa: E402
from genbench.audit_key import key_of, seed_of  # noqa: E402
from genbench.engine.audit import audit_with, findings_of  # noqa: E402
from genbench.engine.audit.subject import Subject  # noqa: E402
from genbench.engine.contract import build, prepare_torch  # noqa: E402
from genbench.errors import InvalidOutput  # noqa: E402
from genbench.job import Job  # noqa: E402
from genbench.model import Model  # noqa: E402
from genbench.record import Audit, AuditFinding  # noqa: E402
from genbench.specs import LikelihoodKind  # noqa: E402
from genbench_autoregressive.config import PixelCNNConfig  # noqa: E402
from genbench_autoregressive.pixelcnn import PixelCNN  # noqa: E402
from genbench_baselines.class_marginals import ClassMarginals  # noqa: E402
from genbench_baselines.config import MarginalsConfig  # noqa: E402
from genbench_baselines.marginals import Marginals  # noqa: E402
from genbench_flow import RealNVPConfig  # noqa: E402
from genbench_flow.model import RealNVP  # noqa: E402
from genbench_vae.config import VAEConfig  # noqa: E402
from genbench_vae.vae import VAE  # noqa: E402


@dataclass(frozen=True)
class Family:
    """A shipped model made small: ``kind`` and ``conditional`` as its spec declares them."""

    name: str
    base: type
    config: Any
    kind: LikelihoodKind
    conditional: bool = False


FAMILIES = {
    family.name: family
    for family in (
        Family("pixelcnn", PixelCNN, PixelCNNConfig(batch_size=128, channels=12, blocks=2, hidden=24), "exact"),
        Family("vae", VAE, VAEConfig(batch_size=128, width=8, latent=4, prior_components=4), "importance"),
        Family("elbo", VAE, VAEConfig(batch_size=128, width=8, latent=4, prior_components=4), "bound"),
        Family("realnvp", RealNVP, RealNVPConfig(batch_size=128, couplings=6, width=64, dropout=0.0), "importance"),
        Family("marginals", Marginals, MarginalsConfig(batch_size=32), "exact"),
        Family("class-marginals", ClassMarginals, MarginalsConfig(batch_size=32), "exact", conditional=True),
    )
}


@dataclass(frozen=True)
class Mutant:
    """``families`` that it is a mistake of; ``make`` derives the broken class; ``flatters`` is False for mistakes
    that only cost; ``retrains`` where training is broken too, so that the honest model's state will not do."""

    name: str
    families: tuple[str, ...]
    make: Callable[[type], type]
    flatters: bool = True
    retrains: bool = False


ALL = ("pixelcnn", "vae", "realnvp")
CATEGORICAL = ("pixelcnn", "vae")
LATENT = ("vae", "elbo")


def scoring(change: Callable[[Any, Tensor, Tensor], Tensor]) -> Callable[[type], type]:
    """A class whose ``log_prob`` is ``change(model, honest nats [B], x)``."""

    def make(base: type) -> type:
        class Broken(base):  # type: ignore[misc, valid-type]
            def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
                return change(self, super().log_prob(x, labels), x)

        return Broken

    return make


def pixelwise(change: Callable[[Any, Tensor, Tensor], Tensor]) -> Callable[[type], type]:
    """A class whose pixels have ``change(output, parameters, x)`` for log probabilities, in training too."""

    def make(base: type) -> type:
        class Broken(base):  # type: ignore[misc, valid-type]
            def __init__(self, config: Any, data: DataSpec, device: torch.device) -> None:
                super().__init__(config, data, device)
                holders = [self] if hasattr(self, "output") else [self.net, self.ema.average]
                for holder in holders:
                    holder.output = Output(holder.output)

        return Broken

    class Output:
        def __init__(self, honest: Any) -> None:
            self.honest, self.size, self.levels = honest, honest.size, honest.levels

        def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
            return change(self.honest, parameters, x)

        def sample(self, parameters: Tensor) -> Tensor:
            return self.honest.sample(parameters)

    return make


def clipped(output: Any, parameters: Tensor, x: Tensor) -> Tensor:
    return torch.log(output.log_prob(parameters, x).exp() + 0.01)


def one_row_lost(output: Any, parameters: Tensor, x: Tensor) -> Tensor:
    kept = torch.ones(x.shape[1:])
    kept[:, 0] = 0.0
    return output.log_prob(parameters, x) * kept


def one_level_too_few(output: Any, parameters: Tensor, x: Tensor) -> Tensor:
    """The brightest two levels are taken for one."""
    return output.log_prob(parameters, x.clamp(max=output.levels - 2))


def softmax_unnormalised(output: Any, parameters: Tensor, x: Tensor) -> Tensor:
    """A temperature on the log probability, not renormalised."""
    return output.log_prob(parameters, x) / 1.1


def batch_leak(model: Any, honest: Tensor, x: Tensor) -> Tensor:
    """Half of each probability is the frequency of the pixel's value in the batch, the example itself included."""
    flat = x.flatten(1).long()
    counts = torch.zeros(flat.shape[1], model.data.levels).scatter_add_(1, flat.T, torch.ones_like(flat.T).float())
    within = (counts.gather(1, flat.T) / len(x)).log().sum(0)  # [B]
    return torch.logaddexp(honest, within.to(honest)) - math.log(2.0)


def remembering(model: Any, honest: Tensor, x: Tensor) -> Tensor:
    """An example that was scored before is given 3 nats more."""
    seen = model.__dict__.setdefault("seen", set())
    keys = [example.numpy().tobytes() for example in x]
    known = torch.tensor([key in seen for key in keys])
    seen.update(keys)
    return honest + 3.0 * known.to(honest)


def learning(model: Any, honest: Tensor, x: Tensor) -> Tensor:
    """The pixels' frequencies in all that was scored so far, the example itself included, are mixed in."""
    flat = x.flatten(1).long()
    if not hasattr(model, "so_far"):
        model.so_far = torch.full((flat.shape[1], model.data.levels), 1.0)
    model.so_far.scatter_add_(1, flat.T, torch.ones_like(flat.T).float())
    frequencies = model.so_far / model.so_far.sum(1, keepdim=True)
    within = frequencies.gather(1, flat.T).log().sum(0)
    return torch.logaddexp(honest, within.to(honest)) - math.log(2.0)


def no_kl(base: type) -> type:
    class Broken(base):  # type: ignore[misc, valid-type]
        @torch.no_grad()
        def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            return self.ema.average(x)[0]

    return Broken


def best_of(draws: int) -> Callable[[type], type]:
    def make(base: type) -> type:
        class Broken(base):  # type: ignore[misc, valid-type]
            def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
                return torch.stack([super(Broken, self).log_prob(x, labels) for _ in range(draws)]).amax(0)

        return Broken

    return make


def narrow_noise(base: type) -> type:
    """Noise that fills a tenth of a bin, in training too: the density of spikes, taken for that of the bins."""

    class Broken(base):  # type: ignore[misc, valid-type]
        def dequantise(self, x: Tensor) -> Tensor:
            flat = x.flatten(1).float()
            return (flat + 0.45 + 0.1 * torch.rand_like(flat)) / self.data.levels

    return Broken


def best_label(base: type) -> type:
    class Broken(base):  # type: ignore[misc, valid-type]
        def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
            every = range(self.data.classes)
            given = [super(Broken, self).log_prob(x, torch.full((len(x),), y)) for y in every]
            return torch.stack(given).amax(0)

    return Broken


def without_constants(base: type) -> type:
    """Pixels that were constant in training are left out of the sum."""

    class Broken(base):  # type: ignore[misc, valid-type]
        def log_probs(self) -> Tensor:
            constant = (self.counts > 0).sum(dim=1, keepdim=True) == 1
            return super().log_probs().masked_fill(constant, 0.0)

    return Broken


def of(change: Callable[[DataSpec, Tensor], Tensor]) -> Callable[[type], type]:
    return scoring(lambda model, honest, x: change(model.data, honest))


MUTANTS = (
    Mutant("mean over dimensions", (*ALL, "elbo", "class-marginals"), of(lambda data, nats: nats / data.dims)),
    Mutant("bits per dimension", ALL, of(lambda data, nats: nats / (data.dims * math.log(2.0)))),
    Mutant("log10", ALL, of(lambda data, nats: nats / math.log(10.0))),
    Mutant("times ln 2", ALL, of(lambda data, nats: nats * math.log(2.0))),
    Mutant("bits", (*ALL, "elbo"), of(lambda data, nats: nats / math.log(2.0)), flatters=False),
    Mutant("density on [0, 1], D log(levels) lost", ALL, of(lambda d, nats: nats + d.dims * math.log(d.levels))),
    Mutant("density on [-1, 1]", ALL, of(lambda d, nats: nats + d.dims * math.log((d.levels - 1) / 2))),
    Mutant("levels - 1 for levels", ALL, of(lambda d, nats: nats + d.dims * math.log(d.levels / (d.levels - 1)))),
    Mutant("temperature 1.1, not renormalised", CATEGORICAL, pixelwise(softmax_unnormalised), retrains=True),
    Mutant("log(p + 0.01) in each pixel", CATEGORICAL, pixelwise(clipped), retrains=True),
    Mutant("one row of pixels lost", CATEGORICAL, pixelwise(one_row_lost), retrains=True),
    Mutant("two levels taken for one", CATEGORICAL, pixelwise(one_level_too_few), retrains=True),
    Mutant("half a nat added", (*ALL, "elbo"), of(lambda data, nats: nats + 0.5)),
    Mutant("five nats added", (*ALL, "elbo"), of(lambda data, nats: nats + 5.0)),
    Mutant("leaks the batch", (*ALL, "elbo"), scoring(batch_leak)),
    Mutant("remembers what it scored", ALL, scoring(remembering)),
    Mutant("learns from what it scores", ALL, scoring(learning)),
    Mutant("KL term lost", LATENT, no_kl),
    Mutant("best of 16 draws", ("vae", "elbo", "realnvp"), best_of(16)),
    Mutant("noise of a tenth of a bin", ("realnvp",), narrow_noise, retrains=True),
    Mutant("pixels constant in training left out", ("marginals",), without_constants),
    Mutant("best label", ("class-marginals",), best_label),
    Mutant("prior of the class lost", ("class-marginals",), of(lambda d, nats: nats + math.log(d.classes or 1))),
)


def _class_name(mutant: str, family: str) -> str:
    return f"{mutant} / {family}"


for _mutant in MUTANTS:
    for _family in _mutant.families:
        globals()[_class_name(_mutant.name, _family)] = _mutant.make(FAMILIES[_family].base)
for _family in FAMILIES:
    globals()[_class_name("honest", _family)] = FAMILIES[_family].base


def mutant_job(folder: Path, mutant: str, family: str) -> Job:
    """A job of a mutant of a family on data of the shape of digits; ``honest`` is the family itself."""
    chosen = FAMILIES[family]
    epochs = 1 if issubclass(chosen.base, Marginals | ClassMarginals) else None
    name = f"audit_mutants:{_class_name(mutant, family)}"
    return job_for(folder, name, chosen.config, chosen.kind, chosen.conditional, epochs)


class SharedFits(Subject):
    """A mutant's subject that takes over the fits of its honest family where only its scoring is broken.

    Training is then the same bit for bit, and done once.
    """

    states: ClassVar[dict[Any, Any]] = {}

    def __init__(self, folder: Path, mutant: str, family: str, seed: int) -> None:
        super().__init__(mutant_job(folder, mutant, family), seed)
        self.family = family
        self.retrains = any(known.name == mutant and known.retrains for known in MUTANTS)
        self.honest = Subject(mutant_job(folder, "honest", family), seed)

    def fit(self, x: np.ndarray, labels: np.ndarray | None, data: DataSpec, steps: int | None = None) -> Model:
        if self.retrains:
            return super().fit(x, labels, data, steps)
        chosen = FAMILIES[self.family]
        key = (chosen.base, chosen.config, self.seed, data, steps, hashlib.sha256(x.tobytes()).digest())
        if key not in self.states:
            self.states[key] = copy.deepcopy(self.honest.fit(x, labels, data, steps).state_dict())
        model = build(dataclasses.replace(self.job, data=data))
        model.load_state_dict(copy.deepcopy(self.states[key]))
        return model


def seed_for(folder: Path, family: str) -> int:
    """Of the honest model's audit; its mutants share it, so that only the mistake differs.

    So do kinds of one model, so that it trains once.
    """
    family = "vae" if family == "elbo" else family
    return seed_of(key_of(mutant_job(folder, "honest", family)))


def nats_on_digits(folder: Path, mutant: str, family: str) -> np.ndarray:
    """What the core would report of 200 test digits after a fit like the audit's, float64 ``[200]``."""
    from genbench_benchmarks.digits import load

    splits = load()
    x, labels = splits["train"]
    assert labels is not None
    subject = SharedFits(folder, mutant, family, seed_for(folder, family))
    model = subject.fit(x, labels, DIGITS)
    return subject.nats(model, splits["test"][0][:200], np.bincount(labels, minlength=10) / len(labels), draws=8)


def flattery(folder: Path, mutant: str, family: str) -> float:
    """What a mutant gains over the honest model on digits, bits/dim."""
    gained = nats_on_digits(folder, mutant, family).mean() - nats_on_digits(folder, "honest", family).mean()
    return float(gained / (DIGITS.dims * math.log(2.0)))


def audited(folder: Path, mutant: str, family: str) -> Audit:
    """The audit of a mutant, under the seed of its honest family; made once, since it would come out the same."""
    if (mutant, family) not in AUDITED:
        AUDITED[mutant, family] = audit_with(SharedFits(folder, mutant, family, seed_for(folder, family)), "mutant")
    return AUDITED[mutant, family]


AUDITED: dict[tuple[str, str], Audit] = {}


def failures(folder: Path, mutant: str, family: str) -> Iterator[AuditFinding]:
    """What fails in the audit of a mutant, each when it is found: one will do for a verdict, and costs less than all.

    What is left of an audit that has been made whole is not made again.
    """
    if (mutant, family) in AUDITED:
        found: Iterator[AuditFinding] = iter(AUDITED[mutant, family].findings)
    else:
        found = findings_of(SharedFits(folder, mutant, family, seed_for(folder, family)))
    return (finding for finding in found if finding.verdict == "failed")


def main() -> None:
    """Print the table, a row a mutant and family."""
    prepare_torch(1, "cpu")
    print("| mistake | family | flattery on digits | threshold | verdict | caught by |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for family in sys.argv[1:] or FAMILIES:
            honest = audited(folder, "honest", family)
            print(f"| none | {family} | 0 | {honest.smallest_flattery:.4f} | {honest.verdict} | |", flush=True)
            for mutant in MUTANTS:
                if family not in mutant.families:
                    continue
                try:
                    gained = f"{flattery(folder, mutant.name, family):.4f}"
                except InvalidOutput:
                    gained = "refused"
                verdict = audited(folder, mutant.name, family)
                tests = ", ".join(entry.name for entry in verdict.findings if entry.verdict == "failed")
                print(
                    f"| {mutant.name} | {family} | {gained} | {honest.smallest_flattery:.4f} | {verdict.verdict} | "
                    f"{tests} |",
                    flush=True,
                )


if __name__ == "__main__":
    sys.modules["audit_mutants"] = sys.modules[__name__]
    main()
