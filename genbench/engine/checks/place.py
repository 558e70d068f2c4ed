"""Where in a plugin's code a check's failure is to be mended: file and line of the method that it is about."""

from __future__ import annotations

import inspect

from genbench.engine import blame
from genbench.engine.contract import resolve
from genbench.job import Job

CLASS = ""
"""Stands for the class as a whole: the check is about which methods there are, or about all of them."""
CONFIG = "config"

OF_GROUP = {
    "construction": "__init__",
    "training": "train_step",
    "sampling": "sample",
    "likelihood": "log_prob",
    "state": "state_dict",
    "cost": "train_step",
}
OF_CHECK = {
    "has_every_method": CLASS,
    "methods_take_what_the_core_gives": CLASS,
    "declared_likelihood_and_log_prob_agree": CLASS,
    "config_is_frozen_and_plain": CONFIG,
    "generators_are_never_seeded": CLASS,
    "training_changes_the_state": "state_dict",
    "global_settings_are_left_alone": CLASS,
    "no_files_are_left_behind": CLASS,
    "a_reloaded_model_samples_the_same": "state_dict",
    "state_survives_the_disk": "load_state_dict",
    "loading_makes_a_copy": "load_state_dict",
    "a_foreign_state_is_refused": "load_state_dict",
    "preparing_leaves_training_alone": "prepare_for_eval",
    "state_does_not_grow": "state_dict",
}
"""Checks that are about another method than most of their group."""


def method_of(check: str, group: str) -> str:
    """The method that a check is about, :data:`CLASS` or :data:`CONFIG`."""
    return OF_CHECK.get(check, OF_GROUP[group])


def place_of_method(job: Job, method: str) -> str:
    """``package/file.py:12, in sample``; of the class where it inherits the method; empty where there is no source."""
    try:
        return _place_of_method(job, method)
    except (Exception, SystemExit):  # of the plugin's own code, which has a say in how it is looked at
        return ""


def _place_of_method(job: Job, method: str) -> str:
    owner = resolve(job.config_type if method == CONFIG else job.factory)
    name = owner.__name__ if inspect.isclass(owner) else job.factory
    own = getattr(owner, method, None) if method not in (CLASS, CONFIG) else None
    return (_place(own, f"{name}.{method}") if own is not None else "") or _place(owner, name)


def _place(what: object, name: str) -> str:
    """The place of a function or class in code that is not a library's."""
    if not callable(what):
        return ""
    plain = inspect.unwrap(what)
    try:
        file, line = inspect.getsourcefile(plain), inspect.getsourcelines(plain)[1]
    except (OSError, TypeError):
        return ""
    if file is None or blame.innermost([(file, line)]) is None:
        return ""
    return f"{blame.shown(file)}:{line}, {name}"
