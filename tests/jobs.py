"""Jobs for tests that call the engine in their own process."""

from pathlib import Path

from genbench import ModelSpec, paths
from genbench.engine import data
from genbench.executors.audits import Audits
from genbench.executors.context import Context, make_job
from genbench.job import Job
from genbench.matrix import PlannedRun, choose, metrics_of
from genbench.plugins import Plugin, Registered, Registry
from genbench.selection import SelectedModel, load_benchmark, select_model
from genbench.store import RunKey, Store


def one_of_each_family(registry: Registry) -> list[str]:
    """A model of each of genbench's own plugins that trains on digits, with a likelihood if one has: for dear claims.

    All models, as they are configured, on every data set: every_model.py asks them the whole conformance kit, and
    test_checks.py the cheap part of it.
    """
    firsts: dict[str, str] = {}
    for name, entry in sorted(registry.models.items(), key=lambda item: (item[1].spec.likelihood is None, item[0])):
        if entry.spec.max_epochs != 0 and usual_benchmark(registry, name) == "digits-smoke":
            firsts.setdefault(entry.plugin.name, name)
    return list(firsts.values())


def usual_benchmark(registry: Registry, model: str) -> str:
    """A benchmark on the data that most tests use, or on words for a model that takes nothing else."""
    digits = registry.datasets["digits"].spec.data
    return "digits-smoke" if registry.models[model].spec.supports(digits) is None else "words"


def job_of(registry: Registry, model: str | ModelSpec, folder: Path, benchmark: str = "digits-smoke") -> Job:
    """A job of a registered model, or of a spec made by a test, with its working folder under ``folder``."""
    if isinstance(model, ModelSpec):
        plugin = Plugin("test", "test", "0", __name__)
        selected = SelectedModel(model.name, Registered(model, plugin), {})
    else:
        selected = select_model(registry, model)
    chosen = load_benchmark(registry, benchmark)
    (entry,) = choose(chosen, [selected])
    materialised = data.materialise(chosen.dataset, paths.data_cache())
    cache, audits = str(paths.reference_cache()), Audits(paths.audit_cache())
    context = Context(chosen, *metrics_of(registry, chosen), Store(folder), str(materialised), cache, audits)
    run = PlannedRun(RunKey(chosen.folder, selected.name, 0), entry, "new", None)
    work = folder / ".work" / "--".join(run.key.path.parts)
    work.mkdir(parents=True, exist_ok=True)
    job = make_job(run, context, work)
    job.write()
    return job
