"""Checks of what a model declares and how it is built."""

from __future__ import annotations

import dataclasses
import inspect
import json
import random
from collections.abc import Callable

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from genbench.engine.checks.subject import NOTHING_TO_TRAIN, Broken, Check, Subject, differing, named
from genbench.engine.contract import resolve
from genbench.engine.parameters import count_parameters

REQUIRED = ("train_step", "sample", "state_dict", "load_state_dict")

ARGUMENTS = {"train_step": 2, "sample": 2, "log_prob": 2, "state_dict": 0, "load_state_dict": 1, "prepare_for_eval": 1}
"""Methods and the number of arguments that the core gives them, by position."""


def check_is_built_from_config_data_and_device(subject: Subject) -> str | None:
    """The factory builds a model from (config, data, device)."""
    model = subject.fresh()
    if model is None or isinstance(model, type):
        raise Broken(f"the factory returned {model!r}", "it must be the class itself, or a function that builds one")
    return None


def check_has_every_method(subject: Subject) -> str | None:
    """A model has train_step, sample, state_dict and load_state_dict."""
    model = subject.fresh()
    missing = [name for name in REQUIRED if not callable(getattr(model, name, None))]
    if missing:
        raise Broken(f"lacks {', '.join(missing)}", "the contract is the docstring of genbench.model")
    return None


def check_methods_take_what_the_core_gives(subject: Subject) -> str | None:
    """Methods take the core's arguments by position: train_step(batch, progress), sample(n, labels), and so on."""
    model = subject.fresh()
    for name, given in ARGUMENTS.items():
        method = getattr(model, name, None)
        if not callable(method):
            continue
        try:
            inspect.signature(method).bind(*(None,) * given)
        except TypeError as error:
            raise Broken(
                f"{name}{inspect.signature(method)} can't be called with {given} arguments: {error}",
                "a model that needs no labels still takes the argument and ignores it",
            ) from None
        except ValueError:
            continue  # a built-in callable without a signature
    return None


def check_declared_likelihood_and_log_prob_agree(subject: Subject) -> str | None:
    """A model has log_prob exactly if its spec declares a likelihood."""
    has, declared = callable(getattr(subject.fresh(), "log_prob", None)), subject.job.likelihood
    if declared is not None and not has:
        raise Broken(f"declares likelihood={declared!r} and has no log_prob", "write the method or leave out the kind")
    if declared is None and has:
        raise Broken(
            "has log_prob, and its spec declares likelihood=None",
            "it would never be scored; declare the kind: exact, importance, bound or estimate",
        )
    return None


def check_config_is_frozen_and_plain(subject: Subject) -> str | None:
    """The configuration is a frozen dataclass whose values survive JSON, so that a record can hold it."""
    kind, values = resolve(subject.job.config_type), subject.job.model.config
    if not kind.__dataclass_params__.frozen:
        raise Broken(
            f"{kind.__name__} is a dataclass without frozen=True",
            "a model could change its own configuration after the record has named it",
        )
    if json.loads(json.dumps(values)) != values or dataclasses.asdict(kind(**values)) != values:
        raise Broken(
            f"the configuration {values} is another one after JSON and being built again",
            "does __post_init__ change fields, or is a value no bool, int, float or str?",
        )
    return None


def check_is_built_the_same_twice(subject: Subject) -> str | None:
    """Two models built from one seed are the same in every bit."""
    paths = differing(subject.state(subject.fresh()), subject.state(subject.fresh()))
    if paths:
        raise Broken(
            f"two builds from one seed differ at {named(paths)}",
            "something is drawn from a generator of the plugin's own, or from the clock",
        )
    return None


def check_fits_the_parameter_budget(subject: Subject) -> str | None:
    """A model holds no more parameters than the benchmark allows."""
    found, allowed = count_parameters(subject.fresh()), subject.job.budget.parameters
    if found > allowed:
        raise Broken(f"has {found:,} parameters where the benchmark allows {allowed:,}", "reduce a width or a depth")
    return None


class _Backward(TorchDispatchMode):
    """Notices whether anything is computed inside autograd's backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.seen = self.seen or torch._C._current_graph_task_id() != -1
        return func(*args, **(kwargs or {}))


def check_parameters_that_learn_are_counted(subject: Subject) -> str | None:
    """A model that learns by gradients holds its weights as torch.nn.Parameter, which the budget counts."""
    if not subject.trains:
        return NOTHING_TO_TRAIN
    model = subject.fresh()
    with _Backward() as backward:
        subject.train(model)
    if not backward.seen:
        return "does not learn by gradients"
    if count_parameters(model) == 0:
        raise Broken(
            "training takes gradients, and 0 parameters are counted",
            "weights are plain tensors, or hidden in a closure; make them torch.nn.Parameter and attributes",
        )
    return None


def check_generators_are_never_seeded(subject: Subject) -> str | None:
    """No method seeds torch's, NumPy's or Python's global generator; the core does, before each call."""
    model = subject.trained()
    other = Subject(dataclasses.replace(subject.job, seed=subject.job.seed + 1))
    calls: dict[str, Callable[[Subject], object]] = {"the constructor": lambda of: of.fresh()}
    if subject.trains:
        calls["train_step"] = lambda of: of.step(model, 0)
    calls["sample"] = lambda of: of.sample(model, 4)
    if subject.job.likelihood is not None:
        calls["log_prob"] = lambda of: of.log_prob(model, subject.examples(4))
    for name, call in calls.items():
        ends = []
        for of in (subject, other):
            call(of)  # seeds first, as the core does, for one run and for another
            ends.append(_generators())
        seeded = [generator for generator, state in ends[0].items() if state == ends[1][generator]]
        if seeded:
            raise Broken(
                f"after {name}, {' and '.join(seeded)} gives the same draws whatever it was seeded with before",
                "the plugin calls a seed function; draw freely and never seed, or every seed's run is the same",
            )
    return None


def _generators() -> dict[str, object]:
    """What each global generator would draw next, without drawing it."""
    numpy = np.random.get_state(legacy=False)["state"]
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": (numpy["key"].tobytes(), numpy["pos"]),
        "random": random.getstate(),
    }


CHECKS: tuple[Check, ...] = (
    check_is_built_from_config_data_and_device,
    check_has_every_method,
    check_methods_take_what_the_core_gives,
    check_declared_likelihood_and_log_prob_agree,
    check_config_is_frozen_and_plain,
    check_is_built_the_same_twice,
    check_generators_are_never_seeded,
    check_fits_the_parameter_budget,
    check_parameters_that_learn_are_counted,
)
