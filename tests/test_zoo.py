"""The hostile zoo: every bad model and every bad plugin in one call, beside two good models that must not notice."""

from __future__ import annotations

import json
import os
import runpy
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from commands import ZOO, genbench
from tiny import BENCHMARK, records

from genbench.record import Record
from genbench.stable import stable

FAULTS: dict[str, str] = runpy.run_path(str(ZOO / "genbench_zoo.py"))["FAULTS"]
"""Each model of the zoo, without its prefix, and the status that its runs must end with."""
IMPORTS = {
    "import-error": "No module named 'no_such_package_anywhere'",
    "import-hang": "hangs when it is imported",
    "import-exit": "ends the process with exit code 0 when it is imported",
    "hook-misspelt": "unknown hook 'register_model'; did you mean 'register_models'?",
    "hook-garbage": "registers 'dcgan', which is no ModelSpec",
    "hook-hang": "hangs in register_models()",
    "name-taken": "registers the model 'marginals', a name that plugin 'baselines' of genbench has taken",
    "config-plain": "config must be a dataclass",
}
"""Each plugin that can't be used, and what is told of it."""
REASONS = {
    "raises": "RuntimeError: a deliberate fault in train_step",
    "raises-in-init": "raises-in-init",
    "raises-in-sample": "raises-in-sample",
    "raises-in-prepare": "raises-in-prepare",
    "exits": "SystemExit: 0",
    "vanishes": "exited with 0 before it was done",
    "segfaults": "SIGSEGV",
    "aborts": "SIGABRT",
    "hoards": "800 MiB",
    "hangs-with-the-gil": "still running after 4.5 s",
    "diverges": "loss became nan at step 40",
    "nan-state": "NaN or infinity at mean",
    "too-bright": "at index [16, 0, 3, 4] stands 17",
    "log-prob-nan": "example 5 of the batch got nan",
    "too-large": "10,000,000 parameters",
    "supports-raises": "supports: ValueError: a deliberate fault in a declaration",
    "supports-lies": "supports: must return None or the reason in words, not bool",
    "defaults-raise": "defaults: ValueError: a deliberate fault in a declaration",
    "defaults-unknown": "defaults: unknown option of zoo-defaults-unknown 'no_such_option'",
}
"""Words of a reason that a person can act on."""
WARNINGS = {
    "reseeds": "reseeded",
    "default-dtype": "default dtype",
    "threads": "number of threads",
    "not-deterministic": "deterministic",
    "deletes-its-folder": "working folder",
}
"""What a record says of a model that is well otherwise but changes the state of its process."""
GOOD = ("zoo-good", "marginals")
LOG_BYTES = 1 << 20
"""More than any log may have; the flood is a thousand times as long."""
TAG = "GENBENCH_ZOO_TAG"


@dataclass(frozen=True)
class Visit:
    """What one call with the whole zoo came to.

    Attributes:
        done: the finished command.
        results: its folder of results.
        found: the records, by model.
        left: processes that were still there afterwards.
        temporary: names in the folder of temporary files afterwards.
    """

    done: subprocess.CompletedProcess[str]
    results: Path
    found: dict[str, Record]
    left: list[str]
    temporary: set[str]

    def folder(self, fault: str) -> Path:
        return self.results / "tiny" / f"zoo-{fault}" / "seed-0"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the benchmark, and an environment in which all that the calls start and leave can be told."""
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "tiny.toml").write_text(BENCHMARK)
    (folder / "temporary").mkdir()
    (folder / "temporary" / "canary").write_text("somebody else's")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TAG, secrets.token_hex(16))
        patch.setenv("TMPDIR", str(folder / "temporary"))
        patch.setenv("GENBENCH_CACHE", str(folder / "cache"))
        patch.setenv("GENBENCH_PROBE_SECONDS", "4")
        yield folder


@pytest.fixture(scope="module")
def zoo(place: Path) -> Visit:
    models = [f"zoo-{fault}" for fault in FAULTS if fault != "good"]
    half = len(models) // 2
    # The good ones in the midst of the others.
    results = place / "results"
    done = run(place, results, *models[:half], *GOOD, *models[half:])
    left = [f"{process.pid} {process.name()}" for process in tagged()]
    # torch makes its cache of compiled code there, empty, one for all processes of a user.
    temporary = {path.name for path in (place / "temporary").iterdir() if not path.name.startswith("torchinductor_")}
    found = {name.partition("/")[0]: record for name, record in records(results).items()}
    return Visit(done, results, found, left, temporary)


@pytest.fixture(scope="module")
def clean(place: Path, zoo: Visit) -> dict[str, Record]:
    """The records of the good models, run by themselves."""
    done = run(place, place / "clean", *GOOD)
    assert done.returncode == 0, done.stderr
    return {name.partition("/")[0]: record for name, record in records(place / "clean").items()}


def run(place: Path, results: Path, *models: str) -> subprocess.CompletedProcess[str]:
    return genbench(
        "run", *models, "-b", place / "tiny.toml", "--seeds", "0", "--jobs", 2, "--json", "--results", results,
        python_path=(ZOO, ZOO / "imports"),
    )  # fmt: skip


def tagged() -> list[psutil.Process]:
    """Processes that the calls started, whoever has become their parent."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(TAG) == os.environ[TAG]:
                found.append(process)
        except psutil.Error:
            continue  # gone, a zombie, or another user's
    return found


@pytest.mark.parametrize(("fault", "status"), FAULTS.items())
def test_each_fault_has_its_status(zoo: Visit, fault: str, status: str) -> None:
    record = zoo.found[f"zoo-{fault}"]
    assert record.status == status, record.reason
    assert (record.reason is None) == (status == "ok")


@pytest.mark.parametrize(("fault", "words"), REASONS.items())
def test_a_fault_is_told_in_words_that_name_it(zoo: Visit, fault: str, words: str) -> None:
    assert words in (zoo.found[f"zoo-{fault}"].reason or "")


@pytest.mark.parametrize(("fault", "words"), WARNINGS.items())
def test_a_changed_global_state_is_a_warning_in_the_record(zoo: Visit, fault: str, words: str) -> None:
    assert [warning for warning in zoo.found[f"zoo-{fault}"].warnings if words in warning]


def test_well_behaved_models_get_no_warning(zoo: Visit) -> None:
    assert [zoo.found[name].warnings for name in (*GOOD, "zoo-strided", "zoo-leaves-children")] == [[]] * 4


@pytest.mark.parametrize("name", GOOD)
def test_bad_neighbours_do_not_change_a_good_models_record(zoo: Visit, clean: dict[str, Record], name: str) -> None:
    assert zoo.found[name].status == "ok"
    assert stable(zoo.found[name]) == stable(clean[name])


@pytest.mark.parametrize(("name", "cause"), IMPORTS.items())
def test_a_plugin_that_cannot_be_used_is_told_by_its_name_and_cause(zoo: Visit, name: str, cause: str) -> None:
    (line,) = [line for line in zoo.done.stderr.splitlines() if line.startswith(f"Warning: plugin {name} of ")]
    assert cause in line


def test_the_exit_code_says_that_some_run_is_not_ok(zoo: Visit) -> None:
    assert zoo.done.returncode == 1


def test_stdout_holds_the_records_as_json_and_nothing_else(zoo: Visit) -> None:
    printed: list[dict[str, Any]] = json.loads(zoo.done.stdout)
    assert {entry["model"]["name"]: entry["status"] for entry in printed} == {
        name: record.status for name, record in zoo.found.items()
    }
    assert len(printed) == len(FAULTS) + 1


def test_no_process_is_left(zoo: Visit) -> None:
    assert zoo.left == []


def test_no_temporary_file_is_left_and_none_of_others_is_gone(zoo: Visit) -> None:
    assert zoo.temporary == {"canary"}


def test_nothing_is_half_done_but_what_the_next_call_goes_on_from(zoo: Visit) -> None:
    lost = {f"tiny--zoo-{fault}--seed-0" for fault, status in FAULTS.items() if status == "lost"}
    assert {path.name.rpartition(".")[0] for path in (zoo.results / ".work").iterdir()} == lost


def test_a_run_that_is_lost_again_and_again_is_tried_three_times(zoo: Visit) -> None:
    assert [attempt.status for attempt in zoo.found["zoo-kills-itself"].attempts] == ["lost"] * 3


def test_only_lost_runs_are_tried_again(zoo: Visit) -> None:
    assert {name for name, record in zoo.found.items() if len(record.attempts) != 1} == {
        f"zoo-{fault}" for fault, status in FAULTS.items() if status == "lost"
    }


def test_logs_have_an_end(zoo: Visit) -> None:
    sizes = {path.parent.parent.name: path.stat().st_size for path in zoo.results.rglob("log.txt")}
    assert max(sizes.values()) < LOG_BYTES
    assert sizes["zoo-floods"] > LOG_BYTES // 4  # its head and its tail are there


def test_logs_hold_nothing_that_a_terminal_obeys(zoo: Visit) -> None:
    for path in zoo.results.rglob("log.txt"):
        text = path.read_bytes().decode()  # UTF-8, whatever was printed
        assert not [character for character in set(text) if not character.isprintable() and character not in "\n\t"]
    assert "link" in (zoo.folder("paints") / "log.txt").read_text()


def test_the_traceback_of_a_plugin_is_in_its_log(zoo: Visit) -> None:
    log = (zoo.folder("raises") / "log.txt").read_text()
    assert "Traceback" in log
    assert "a deliberate fault in train_step" in log


def test_a_crash_leaves_the_fault_handlers_trace_in_its_log(zoo: Visit) -> None:
    assert "Fatal Python error" in (zoo.folder("segfaults") / "log.txt").read_text()


def test_an_exception_that_is_no_text_is_told_all_the_same(zoo: Visit) -> None:
    assert "a deliberate fault" in (zoo.found["zoo-raises-surrogates"].reason or "")


def test_what_a_model_writes_into_its_runs_folder_does_not_come_into_the_results(zoo: Visit) -> None:
    kept = {path.name: path for path in zoo.folder("litters").iterdir()}
    assert set(kept) == {"record.json", *zoo.found["zoo-litters"].artifacts}
    assert not [path for path in kept.values() if path.is_symlink() or path.is_dir()]


def test_a_model_that_hoards_is_stopped_near_its_cap(zoo: Visit) -> None:
    peak = zoo.found["zoo-hoards"].cost["peak_memory"]
    assert 800 << 20 <= peak < 1.25 * (800 << 20)


@pytest.mark.parametrize("fault", ["hangs", "hangs-with-the-gil", "hangs-without-sigterm"])
def test_a_model_that_hangs_is_dead_soon_after_its_deadline(zoo: Visit, fault: str) -> None:
    assert 4.5 <= zoo.found[f"zoo-{fault}"].cost["stage_seconds"]["train"] < 6.5


def test_a_plugin_that_works_but_disturbs_the_process_is_noted_and_used(place: Path, zoo: Visit) -> None:
    done = genbench("list", "plugins", "--json", python_path=(ZOO, ZOO / "imports"))
    (noisy,) = [plugin for plugin in json.loads(done.stdout) if plugin["name"] == "import-noise"]
    assert noisy["brings"] == {"models": ["noisy"]}
    assert len(noisy["notes"]) == 4  # the current folder, signal handlers, sys.path, and what it prints
