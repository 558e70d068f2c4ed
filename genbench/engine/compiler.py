"""``compile = true``: torch.compile over a model's networks, in place, and what it took.

Nothing falls back: what the compiler refuses is the run's error, and a network that it compiles too many times over as
well. What it writes goes with the run, so that each run pays, and tells, its own compilation.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from genbench.engine.parameters import outermost_modules

BACKEND = "inductor"
CACHE = "compiled"
"""The folder, in a run's own, of the compiler's files."""
NANOSECONDS = 1e9
TIMERS = ("entire_frame_compile", "entire_backward_compile")
"""Of torch._dynamo: they do not overlap, and hold all the others. The second is that of what autograd runs."""


def compile_networks(model: object, scratch: Path) -> None:
    """Have every network that ``model`` holds compiled when it is first called.

    The modules stay what they are, so that the names in their state, and copies made of them, are not touched. Networks
    are the outermost modules with a ``forward``; containers that have none are looked into. Shapes are taken as fixed:
    else what is compiled would hang on the shapes seen before, and a resumed run would differ from one that was not.

    Args:
        scratch: a folder that is removed with the run's.
    """
    import torch._dynamo.config
    import torch._inductor.config

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(scratch / CACHE)
    torch._dynamo.config.fail_on_recompile_limit_hit = True  # else it would go on without, silently
    torch._inductor.config.force_disable_caches = True
    torch._inductor.config.compile_threads = 1  # no processes of its own
    torch._inductor.config.fallback_random = True  # draws from torch's own generators, as without it
    torch._inductor.config.deterministic = True
    for module in outermost_modules(model):
        # Not ``module.compile()``, which passes over the forward of torch's own classes, such as ``nn.Sequential``.
        module._compiled_call_impl = torch.compile(_call_of(module), backend=BACKEND, dynamic=False)


def eagerly(compiled: bool, counted: bool) -> AbstractContextManager[Any]:
    """A context for one step, in which nothing compiled is used if the step is ``counted``.

    The counter of FLOPs sees what torch dispatches one by one, not what was fused; and a network whose first call it
    watched would never be compiled.
    """
    return torch.compiler.set_stance("force_eager") if compiled and counted else nullcontext()


def seconds() -> float:
    """What compiling has taken in this process so far, by torch's own timers."""
    from torch._dynamo.utils import cumulative_time_spent_ns

    return sum(cumulative_time_spent_ns.get(timer, 0.0) for timer in TIMERS) / NANOSECONDS


def _call_of(module: torch.nn.Module) -> Any:
    """A call of the module, hooks included, as a function of this file, which the compiler does not pass over."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return module._call_impl(*args, **kwargs)

    return call
