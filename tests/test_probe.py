"""The probe: a plugin that would harm the process that loads it is found out by another one, and that is remembered."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from genbench import probing, verdicts
from genbench.errors import GenbenchError
from genbench.plugins import Registry, discover
from genbench.single_file import add_file

SECONDS = "6"

GOOD = """
from dataclasses import dataclass
from genbench import ModelSpec, hookimpl

@dataclass(frozen=True)
class Config:
    batch_size: int = 8

def supports(data): return None
def defaults(data): return {{}}

@hookimpl
def register_models():
    return [ModelSpec({name!r}, "nowhere:Model", Config, "A model", supports=supports, defaults=defaults)]
"""

HOSTILE = {
    "hang": ("import time; time.sleep(3600)", "hangs when it is imported: no end after 6 s"),
    "lock": ("import ctypes; ctypes.PyDLL(None).sleep(3600)", "hangs when it is imported: no end after 6 s"),
    "hang-hook": (
        GOOD.replace("    return [", "    import time; time.sleep(3600); return ["), "hangs in register_models()"
    ),
    "hang-supports": (
        GOOD.replace("supports(data): return", "supports(data): import time; time.sleep(3600); return"),
        "hangs in supports of model",
    ),
    "hang-exit": (
        GOOD + "\nimport threading, time\nthreading.Thread(target=time.sleep, args=(3600,)).start()",
        "hangs as the interpreter ends",
    ),
    "vanish": ("import os; os._exit(0)", "ends the process with exit code 0 when it is imported"),
    "vanish-words": (
        "import os; os.write(2, b'no\\nlicence \\x1b[31mfound\\n'); os._exit(3)", "exit code 3 when it is imported; its"
    ),
    "vanish-hook": (
        GOOD.replace("    return [", "    import os; os._exit(0); return ["), "exit code 0 in register_models()"
    ),
    "vanish-defaults": (
        GOOD.replace("defaults(data): return", "defaults(data): import os; os._exit(0); return"),
        "exit code 0 in defaults of model",
    ),
    "vanish-exit": (GOOD + "\nimport atexit, os; atexit.register(os._exit, 7)", "exit code 7 as the interpreter ends"),
    "segfault": ("import ctypes; ctypes.string_at(0)", "is ended by SIGSEGV when it is imported"),
    "abort": ("import os; os.abort()", "is ended by SIGABRT when it is imported"),
    "kill": ("import os; os.kill(0, 9)", "is ended by SIGKILL when it is imported"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "child": (
        GOOD + "\nimport subprocess; subprocess.Popen(['sleep', '3600'])",
        "leaves 1 process running when it is imported",
    ),
    "daemon": (
        GOOD + "\nimport os, time\nif not os.fork():\n    os.setsid()\n    if not os.fork(): time.sleep(3600)\n"
        "    os._exit(0)",
        "leaves 1 process running when it is imported",
    ),
    "flood": ("import os\nwhile True: os.write(1, bytes(1 << 20))", "prints without end when it is imported"),
    "deaf": ("import os; os.closerange(0, 256)", "ends the process with exit code"),
    "forger": (
        "import os\nfor fd in range(3, 30):\n  try: os.write(fd, b'7\\n{\"problem\": 3}\\n')\n"
        "  except OSError: pass\nos._exit(0)",
        "ends the process with exit code 0",
    ),
}  # fmt: skip
"""Each plugin's code, and what must be told of it."""

numbers = itertools.count()
Write = Callable[..., EntryPoint]


def point_in(folder: Path, source: str, name: str = "it", version: str = "1.2") -> EntryPoint:
    """An entry point for a module that is written into a folder."""
    module = f"probed_plugin_{next(numbers)}"
    (folder / f"{module}.py").write_text(source)
    point = EntryPoint(name, module, "genbench")
    return point._for(SimpleNamespace(name="somebody-genbench", version=version))  # type: ignore[attr-defined]


def tagged() -> list[psutil.Process]:
    """Processes of any probe."""
    found = []
    for process in psutil.process_iter():
        try:
            if probing.TAG in process.environ():
                found.append(process)
        except psutil.Error:
            continue
    return found


def problems(registry: Registry) -> dict[str, str]:
    return {plugin.name: plugin.problem or "" for plugin in registry.plugins}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, list[psutil.Process], float]]:
    """What one call makes of all hostile plugins and two good ones; the processes that are left, and the seconds."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("hostile")
        patch.setenv("GENBENCH_CACHE", str(folder / "cache"))
        patch.setenv(verdicts.VARIABLE, SECONDS)
        patch.syspath_prepend(folder)
        points = [point_in(folder, source.format(name=name) if "{name" in source else source, name)
                  for name, (source, _) in HOSTILE.items()]  # fmt: skip
        points += [point_in(folder, GOOD.format(name=name), name) for name in ("a-good-one", "z-good-one")]
        others = {process.pid for process in tagged()}
        began = time.monotonic()
        registry = discover(points)
        seconds = time.monotonic() - began
        yield registry, [process for process in tagged() if process.pid not in others], seconds


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path, with a cache of its own."""
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def probes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the plugins that are probed, as it happens."""
    seen: list[str] = []
    real = probing.probe_all

    def counted(plugins: list, seconds: float) -> list[verdicts.Verdict]:  # type: ignore[type-arg]
        seen.extend(plugin.name for plugin, _ in plugins)
        return real(plugins, seconds)

    monkeypatch.setattr(probing, "probe_all", counted)
    return seen


def discover_anew(*points: EntryPoint) -> Registry:
    """What another command would find: this process remembers nothing."""
    verdicts._asked.clear()
    return discover(points)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_plugin_that_would_harm_its_process_is_reported_with_its_cause(
    hostile: tuple[Registry, list[psutil.Process], float], name: str
) -> None:
    found = problems(hostile[0])[name]
    assert HOSTILE[name][1] in found
    assert found.isprintable()


def test_hostile_plugins_leave_the_others_working(hostile: tuple[Registry, list[psutil.Process], float]) -> None:
    assert set(hostile[0].models) == {"a-good-one", "z-good-one"}


def test_hostile_plugins_leave_no_process(hostile: tuple[Registry, list[psutil.Process], float]) -> None:
    assert hostile[1] == []


def test_plugins_are_probed_side_by_side(hostile: tuple[Registry, list[psutil.Process], float]) -> None:
    hangs = [name for name in HOSTILE if "hang" in HOSTILE[name][1]]
    assert hostile[2] < float(SECONDS) * len(hangs)


def test_the_last_words_of_a_plugin_that_ends_its_process_are_told(
    hostile: tuple[Registry, list[psutil.Process], float],
) -> None:
    assert problems(hostile[0])["vanish-words"].endswith("its last words: licence \N{REPLACEMENT CHARACTER}[31mfound")


def test_a_good_verdict_is_remembered(folder: Path, probes: list[str]) -> None:
    point = point_in(folder, GOOD.format(name="good"))
    assert discover_anew(point).broken == []
    assert set(discover_anew(point).models) == {"good"}
    assert probes == ["it"]


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        (lambda path: path.write_text(path.read_text() + "\nx = 1\n"), 2),
        (lambda path: os.utime(path, (1, 1)), 1),
    ],
    ids=["code", "time-only"],
)
def test_a_verdict_holds_as_long_as_the_code(
    folder: Path, probes: list[str], change: Callable[[Path], object], asked: int
) -> None:
    point = point_in(folder, GOOD.format(name="good"))
    discover_anew(point)
    change(folder / f"{point.value}.py")
    discover_anew(point)
    assert len(probes) == asked


def test_a_verdict_holds_for_one_version(folder: Path, probes: list[str]) -> None:
    point = point_in(folder, GOOD.format(name="good"))
    discover_anew(point)
    discover_anew(point._for(SimpleNamespace(name="somebody-genbench", version="1.3")))  # type: ignore[attr-defined]
    assert len(probes) == 2


def test_a_verdict_that_is_torn_is_asked_for_again(folder: Path, probes: list[str]) -> None:
    point = point_in(folder, GOOD.format(name="good"))
    discover_anew(point)
    (kept,) = verdicts.folder().iterdir()
    kept.write_text(kept.read_text()[:40])
    assert set(discover_anew(point).models) == {"good"}
    assert len(probes) == 2


def test_a_quick_failure_is_asked_for_again(folder: Path, probes: list[str]) -> None:
    point = point_in(folder, "import module_that_comes_later")
    assert "No module named" in problems(discover_anew(point))["it"]
    (folder / "module_that_comes_later.py").write_text("")
    assert "implements no hook" in problems(discover_anew(point))["it"]


@pytest.fixture
def hanging(folder: Path, probes: list[str], monkeypatch: pytest.MonkeyPatch) -> EntryPoint:
    """A plugin that has been found to hang."""
    monkeypatch.setenv(verdicts.VARIABLE, "0.5")
    point = point_in(folder, "import time; time.sleep(3600)")
    assert "`genbench list plugins --probe` asks again" in problems(discover_anew(point))["it"]
    return point


def test_a_hang_is_remembered(hanging: EntryPoint, probes: list[str]) -> None:
    began = time.monotonic()
    assert "hangs" in problems(discover_anew(hanging))["it"]
    assert time.monotonic() - began < 0.5
    assert len(probes) == 1


def test_a_hang_is_asked_for_again_once_something_is_installed(
    hanging: EntryPoint, probes: list[str], folder: Path
) -> None:
    (folder / "licence-2.0.dist-info").mkdir()
    discover_anew(hanging)
    assert len(probes) == 2


def test_a_hang_is_asked_for_again_with_more_time(
    hanging: EntryPoint, probes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(verdicts.VARIABLE, "0.6")
    discover_anew(hanging)
    assert len(probes) == 2


def test_what_is_known_can_be_forgotten(hanging: EntryPoint, probes: list[str]) -> None:
    verdicts.forget()
    discover(iter([hanging]))
    assert len(probes) == 2


def test_a_cache_that_cannot_be_written_costs_a_probe_and_nothing_else(
    folder: Path, probes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("GENBENCH_CACHE", str(folder / "file" / "cache"))
    point = point_in(folder, GOOD.format(name="good"))
    assert set(discover_anew(point).models) == set(discover_anew(point).models) == {"good"}
    assert len(probes) == 2


@pytest.mark.parametrize("raw", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_a_time_limit_that_is_none_is_refused_by_its_name(
    folder: Path, raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(verdicts.VARIABLE, raw)
    with pytest.raises(GenbenchError, match=f"{verdicts.VARIABLE} must be a number of seconds"):
        discover([point_in(folder, GOOD.format(name="good"))])


def test_what_a_plugin_prints_stays_off_stdout(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = "\nimport os, sys\nprint('python')\nos.write(1, b'system')\nsys.__stdout__.write('buffered')\n"
    registry = discover_anew(point_in(folder, GOOD.format(name="good") + noise))
    sys.stdout.flush()
    out, err = capfd.readouterr()
    assert out == ""
    assert "python" in err
    assert "system" in err
    assert registry.models["good"].plugin.notes == ("prints when it is imported; that goes to stderr",)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import os; os.chdir('/')", "the current folder"),
        ("import os; os.environ['OMP_NUM_THREADS'] = '64'", "environment variables"),
        ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal handlers"),
        ("import sys; sys.path.insert(0, '/nowhere')", "the order of sys.path"),
        ("import os; os.umask(0)", "the umask"),
        ("import sys; sys.setrecursionlimit(50_000)", "the recursion limit"),
    ],
)
def test_what_a_plugin_changes_of_the_process_is_put_back_and_noted(folder: Path, source: str, what: str) -> None:
    def state() -> tuple[object, ...]:
        umask = os.umask(0o22)
        os.umask(umask)
        return os.getcwd(), dict(os.environ), signal.getsignal(signal.SIGTERM), umask, sys.getrecursionlimit()

    before, path = state(), list(sys.path)
    registry = discover_anew(point_in(folder, GOOD.format(name="good") + "\n" + source))
    assert state() == before
    assert sys.path[: len(path)] == path
    assert f"changes {what} when it is imported, which is put back" in registry.models["good"].plugin.notes


def test_a_heavy_hook_module_is_noted(folder: Path) -> None:
    registry = discover_anew(point_in(folder, GOOD.format(name="good") + "\nimport matplotlib"))
    (note,) = registry.models["good"].plugin.notes
    assert note.startswith("imports matplotlib, which makes every genbench command slower")


def test_an_exception_in_a_models_declaration_is_no_problem_of_its_plugin(folder: Path) -> None:
    source = GOOD.format(name="good").replace("supports(data): return", "supports(data): raise ValueError;")
    assert set(discover_anew(point_in(folder, source)).models) == {"good"}


def test_a_file_is_probed_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(verdicts.VARIABLE, "1")
    path = folder / "hanging_file.py"
    path.write_text("import time; time.sleep(3600)")
    with pytest.raises(GenbenchError, match=r"hanging_file\.py: hangs when it is imported: no end after 1 s"):
        add_file(discover([]), path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_probe_ends_with_the_process_that_asks(folder: Path, number: signal.Signals) -> None:
    mark = folder / "imported"
    source = f"import ctypes, pathlib; pathlib.Path({str(mark)!r}).touch(); ctypes.PyDLL(None).sleep(3600)"
    point = point_in(folder, source)
    program = (
        "from importlib.metadata import EntryPoint; from genbench.plugins import discover; "
        f"discover([EntryPoint('it', {point.value!r}, 'genbench')])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": str(folder)}, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 30
    while not mark.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    (probe,) = psutil.Process(process.pid).children()
    process.send_signal(number)
    process.wait(timeout=30)
    gone, _ = psutil.wait_procs([probe], timeout=10)
    assert gone


def test_listing_plugins_again_asks_them_again(folder: Path) -> None:
    """The zoo's own plugin stands for any that is installed."""
    command = [sys.executable, "-P", "-m", "genbench.cli", "list", "plugins", "--json"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent / "zoo")}
    times = []
    for extra in ([], [], ["--probe"]):
        done = subprocess.run([*command, *extra], env=environment, capture_output=True, text=True, check=True)
        assert "zoo" in {plugin["name"] for plugin in json.loads(done.stdout)}
        (kept,) = verdicts.folder().iterdir()
        times.append(kept.stat().st_mtime_ns)
    assert times[0] == times[1] < times[2]
