"""The command line in Python: what the functions of ``genbench`` do, return and show. Nothing is trained here."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import factories
import numpy as np
import pytest

import genbench
import genbench.plugins
from genbench.arguments import sayer
from genbench.errors import GenbenchError, NothingSelected, SpecError, StoreError
from genbench.executors.interface import Observer, Setting
from genbench.executors.supervision import Killed
from genbench.matrix import PlannedRun
from genbench.plugins import Plugin, Registered, Registry
from genbench.reports import CheckReport, RunReport
from genbench.signals import Signals
from genbench.store import Store


class Told:
    """An executor that is told what to do: commits a record a run, or is interrupted ``interrupts`` times before."""

    interrupts = 0

    def __init__(self, setting: Setting) -> None:
        self.jobs = setting.jobs or 1
        self.asked: list[str] = []
        self._setting = setting

    def execute(self, runs: Sequence[PlannedRun], observer: Observer) -> None:
        for run in runs:
            observer.started(run)
            for _ in range(Told.interrupts):
                signal.raise_signal(signal.SIGINT)
            if self.asked:
                assert self.asked == ["cancel", "kill"][: Told.interrupts]
                if "kill" in self.asked:
                    raise Killed
                return
            status = self._setting.options.get("status", "ok")
            record = factories.record(run.key.model, run.key.seed, self._setting.benchmark, status=status)
            factories.commit(self._setting.store, record, run.key.benchmark)
            observer.finished(run, record)

    def cancel(self) -> None:
        self.asked.append("cancel")

    def kill(self) -> None:
        self.asked.append("kill")


@contextmanager
def told(setting: Setting) -> Iterator[Told]:
    yield Told(setting)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark, and results of it to be read only."""
    return factories.two_models(tmp_path_factory.mktemp("api"))


@pytest.fixture
def registry(made: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The synthetic plugin in place of whatever is installed, and an executor that starts nothing."""
    of = factories.registry(made / "tiny.toml")
    of.executors["told"] = Registered("test_api:told", Plugin("told", "told", "1.0", "test_api"))
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: of)
    monkeypatch.setattr(Told, "interrupts", 0)
    return of


@pytest.fixture
def results(registry: Registry, made: Path) -> Path:
    return made / "results"


def run(results: Path, **options: Any) -> RunReport:
    return genbench.run("toy", "tiny", results=results, executor="told", progress=lambda line: None, **options)


# Running.


def test_a_run_returns_the_records_that_were_asked_for_and_their_leaderboard(
    registry: Registry, tmp_path: Path
) -> None:
    report = run(tmp_path / "new", seeds=[0, 2])
    assert report.ok
    assert [(record.model.name, record.seed) for record in report.records] == [("toy", 0), ("toy", 2)]
    assert [row.model for row in report.leaderboard.rows] == ["toy"]
    assert list(report.frame().model) == ["toy"]
    assert "2 records, 0 not ok" in repr(report)
    assert "1 record, 0 not ok" in repr(replace(report, records=report.records[:1]))
    assert str(report) == str(report.leaderboard)


def test_a_failed_run_is_no_error_and_is_named_with_its_reason(registry: Registry, tmp_path: Path) -> None:
    report = run(tmp_path / "new", seeds=[0], executor_options={"status": "diverged"})
    assert not report.ok
    assert [(record.status, record.reason) for record in report.failed] == [("diverged", "it broke")]


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_is_raised_when_all_has_ended_in_order_and_the_handler_is_put_back(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupts: int
) -> None:
    monkeypatch.setattr(Told, "interrupts", interrupts)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="the same call goes on"):
        run(tmp_path / "new")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_that_was_not_set_from_python_gives_way_to_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[Any] = []
    # As signal.signal answers where a program that Python is a part of has a handler of its own.
    monkeypatch.setattr("genbench.signals.signal.signal", lambda number, handler: put.append(handler))
    with Signals((signal.SIGINT,), lambda line: None).stopping(Told(Setting(None, None, None))):  # type: ignore[arg-type]
        pass
    assert put[1:] == [signal.SIG_DFL]


def test_a_run_in_a_thread_that_is_not_the_main_one_leaves_signals_alone(registry: Registry, tmp_path: Path) -> None:
    reports = []
    thread = threading.Thread(target=lambda: reports.append(run(tmp_path / "new", seeds=[1])))
    thread.start()
    thread.join()
    assert [report.ok for report in reports] == [True]


def test_without_progress_the_lines_go_to_the_logger(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, "genbench"):
        genbench.run("toy", "tiny", results=tmp_path / "new", executor="told", seeds=[0], progress=False)
    assert any("tiny/toy/seed-0  ok" in line for line in caplog.messages)
    assert capfd.readouterr() == ("", "")


def test_what_a_plugin_has_said_is_told_without_what_a_terminal_obeys(registry: Registry) -> None:
    lines: list[str] = []
    sayer(lines.append)("it broke: \x1b[31m\nat once")
    assert lines == ["it broke: \N{REPLACEMENT CHARACTER}[31m at once"]


def test_seeds_may_be_of_numpy_s_types(registry: Registry, tmp_path: Path) -> None:
    (record,) = run(tmp_path / "new", seeds=np.arange(1)).records
    assert type(record.seed) is int


def test_all_models_are_those_that_are_installed(registry: Registry, tmp_path: Path) -> None:
    report = genbench.run(
        benchmark="tiny", results=tmp_path / "new", executor="told", seeds=[0], progress=lambda line: None
    )
    assert {record.model.name for record in report.records} == set(registry.models)


@pytest.mark.parametrize(("given", "named"), [(factories.MODEL, "the ModelSpec 'toy'"), ([object], "type")])
def test_a_model_that_stands_in_a_notebook_is_refused_with_what_to_do(
    registry: Registry, given: Any, named: str
) -> None:
    with pytest.raises(SpecError, match=r"%%writefile my_model\.py") as refused:
        genbench.run(given, "tiny")
    assert named in str(refused.value)
    assert 'genbench.run("./my_model.py")' in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": [0, 77]}, r"has the seeds .*, not \[77\]"),
        ({"budget": {"imges": 5}}, "did you mean 'images'"),
        ({"budget": {"images": "many"}}, "images"),
        ({"executor": "toled"}, "did you mean 'told'"),
        ({"models": "toi"}, "did you mean 'toy'"),
        ({"models": []}, "no model is selected"),
        ({"models": None}, "NoneType None is neither"),
        ({"models": Path("nowhere.py")}, r"nowhere\.py: no such file"),
        ({"seeds": []}, "no seed is selected"),
        ({"seeds": "0-2"}, r"seeds: must be a sequence .* not '0-2'"),
        ({"seeds": [0.0]}, "seeds: must be a whole number, not 0.0"),
        ({"jobs": 0}, "jobs: must be 1 or more, not 0"),
        ({"checkpoint": float("nan")}, "checkpoint: must be a number of seconds, 0 or more, not nan"),
        ({"rerun": "some"}, "rerun: must be 'failed' or 'all', not 'some'"),
        ({"budget": ["images=5"]}, "budget: must map keys to values"),
        ({"benchmark": "tinie"}, "did you mean 'tiny'"),
    ],
)
def test_what_is_unknown_is_refused_as_on_the_command_line(
    registry: Registry, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    given = {"models": "toy", "benchmark": "tiny", "results": tmp_path / "new", **options}
    with pytest.raises(GenbenchError, match=message):
        genbench.run(**given)
    assert not (tmp_path / "new").exists()


def test_a_budget_is_changed_by_its_keys_and_none_lifts_a_limit(registry: Registry) -> None:
    from genbench.arguments import benchmark_for

    changed = benchmark_for(registry, "tiny", budget={"images": 2e3, "flops": None})
    assert (changed.budget.images, changed.budget.flops) == (2000, None)
    assert changed.custom_budget


def test_a_plugin_that_cannot_be_used_is_warned_of(registry: Registry, results: Path) -> None:
    registry.plugins.append(Plugin("bad", "bad-dist", "1.0", "bad", problem="no such module"))
    with pytest.warns(UserWarning, match="plugin bad of bad-dist is not used: no such module"):
        genbench.list_models()


# Looking.


def test_a_table_shows_what_the_command_shows(results: Path) -> None:
    board = genbench.table("tiny", results=results)
    assert [row.model for row in board.rows] == ["toy[width=3]", "toy"]
    assert repr(board) == f"<Leaderboard of tiny (digest {board.benchmark.digest}): 2 rows, 6 columns>"
    text = str(board)
    assert text.startswith("Tiny pictures: digest")
    assert "toy[width=3]" in text
    assert "\x1b" not in text


def test_columns_and_models_are_chosen_by_name(results: Path) -> None:
    board = genbench.table("tiny", results=results, columns=["kid", "fid"], models=["toy"])
    assert {column.key for column in board.columns} == {"fid", "kid"}
    assert [row.model for row in board.rows] == ["toy"]
    with pytest.raises(GenbenchError, match="did you mean 'fid'"):
        genbench.table("tiny", results=results, columns="fidd")


def test_no_results_are_an_error_that_says_how_to_get_some(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(NothingSelected, match=r"get some with `genbench.run\(benchmark='tiny'\)`"):
        genbench.table("tiny", results=tmp_path / "none")


def test_a_comparison_has_a_verdict_a_metric_and_a_gate_on_demand(results: Path) -> None:
    report = genbench.compare("toy", "toy[width=3]", "tiny", results=results, metrics=["fid"], regression=True)
    (compared,) = report.comparisons[0].metrics
    assert compared.winner == "B"
    assert report.verdict is not None
    assert report.verdict.exit_code == 0
    assert "toy and toy[width=3] on tiny" in repr(report)
    assert "B is better" in str(report)
    assert "<b>B is better</b>" in report._repr_html_()


def test_two_results_folders_are_compared_model_by_model(results: Path) -> None:
    report = genbench.compare(f"{results}/", f"{results}/", "tiny")
    assert [of.a.name for of in report.comparisons] == ["toy", "toy[width=3]"]
    assert "toy[width=3]" in report._repr_html_()
    assert "folders" in report.document()


def test_a_record_is_loaded_by_its_name(results: Path) -> None:
    assert genbench.load_record("tiny/toy/seed-3", results) == factories.record("toy", 3)
    with pytest.raises(GenbenchError, match="did you mean 'tiny/toy/seed-3'"):
        genbench.load_record("tiny/toy/seed-33", results)


def test_a_record_that_cannot_be_read_is_refused(registry: Registry, tmp_path: Path) -> None:
    path = tmp_path / "tiny/toy/seed-3/record.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(StoreError, match="unreadable"):
        genbench.load_record("tiny/toy/seed-3", tmp_path)


def test_lists_are_sequences_of_what_is_installed(registry: Registry) -> None:
    listing = genbench.list_models()
    assert listing.names == ["toy"]
    assert listing[0]["options"]["width"] == 64
    assert len(listing) == len(list(listing)) == 1
    assert repr(listing) == "<Listing of 1 models: toy>"
    assert "A toy" in str(listing)
    assert [len(function()) for function in (genbench.list_benchmarks, genbench.list_datasets)] == [1, 1]
    assert "fid" in genbench.list_metrics().names
    assert genbench.list_plugins().names == ["toys"]
    assert genbench.list_evaluators().names == list(registry.evaluators)


# Samples and scores, whose processes the commands' own tests start.


def test_samples_are_drawn_into_an_array(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(registry, folder, record, output, n, benchmark, file, seed, warn):  # type: ignore[no-untyped-def]
        assert (folder, n, benchmark, file, seed) == (results / "tiny/toy/seed-1", 2, None, None, 9)
        np.savez(output, samples=np.ones((n, 1, 2, 2), np.uint8), labels=np.array([3, 4]))
        warn("the code of toy has changed")
        return factories.benchmark()

    monkeypatch.setattr("genbench.drawing.draw", draw)
    with pytest.warns(UserWarning, match="has changed"):
        drawn = genbench.sample("tiny/toy/seed-1", 2, seed=9, results=results)
    assert drawn.array.shape == (2, 1, 2, 2)
    assert drawn.labels is not None
    assert drawn.labels.tolist() == [3, 4]
    assert drawn.dataset.name == factories.DATASET.name
    with pytest.raises(GenbenchError, match="n: must be 1 or more, not 0"):
        genbench.sample("tiny/toy/seed-1", 0, results=results)


class Scorer:
    """Stands for the process that scores a file."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def call(self, target: str, samples: str) -> dict[str, Any]:
        assert target == "score_file"
        with np.load(samples) as arrays:
            self.given = dict(arrays)
        score = {"value": 2.5, "direction": "lower", "flag": None, "fingerprint": {"real": 0.5}}
        return {"scores": {"fid": score}, "given": len(self.given["samples"])}


def test_an_array_is_scored_like_a_file_with_its_labels(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer()

    @contextmanager
    def task(*arguments: Any, **options: Any) -> Iterator[Scorer]:
        yield scorer

    monkeypatch.setattr("genbench.scored.task", task)
    registry.models["noise"] = registry.models["toy"]
    images = np.full((700, 1, 8, 8), 3, np.uint8)
    found = genbench.score(images, "tiny", labels=np.zeros(700, int), name="mine")
    assert np.array_equal(scorer.given["samples"], images)
    assert scorer.given["labels"].shape == (700,)
    assert found["fid"] == 2.5
    assert "mine on tiny" in str(found)
    assert "FID [toys, tiny-cnn-v1]  2.5  (lower is better; real data 0.5)" in str(found)
    assert "FID [toys, tiny-cnn-v1] ↓" in found._repr_html_()
    assert found.document()["given"] == 700
    with pytest.raises(GenbenchError, match="did you mean 'fid'"):
        _ = found["fidd"]
    with pytest.raises(GenbenchError, match="no such file"):
        genbench.score("nowhere.npz", "tiny")
    with pytest.raises(GenbenchError, match="labels go with an array"):
        genbench.score("nowhere.npz", "tiny", labels=[1])
    for unfit in ([[1], [2, 3]], [None, "a"]):
        with pytest.raises(SpecError, match=r"samples: .* array"):
            genbench.score(unfit, "tiny")


def test_a_failed_check_is_explained(registry: Registry) -> None:
    result = {"name": "sample_is_uint8", "group": "sampling", "verdict": "failed", "message": "it is float32",
              "promise": "uint8", "measured": "float32", "where": "t.py:3", "cause": "no cast", "read": ""}  # fmt: skip
    report = CheckReport("toy", "tiny", (result,))
    assert (report.ok, report.failed) == (False, (result,))
    assert "1 of 1 failed" in repr(report)
    assert "promised:     uint8" in str(report)
    assert "it is float32" in report._repr_html_()


# What importing costs.


def test_importing_genbench_imports_nothing_that_only_some_need() -> None:
    code = (
        "import sys, genbench; heavy = {'torch', 'pandas', 'rich', 'pydantic', 'numpy', 'click', 'pluggy', 'jinja2', "
        "'markupsafe', 'genbench.api'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    for name in genbench.__all__:
        assert getattr(genbench, name).__doc__, name
    assert set(genbench.__all__) <= set(dir(genbench))


# Publishing.


def test_a_bibliography_is_bibtex_of_the_models_that_are_named(results: Path) -> None:
    assert "% model: toy\n" in genbench.cite("tiny", models=["toy"], results=results)
    with pytest.raises(GenbenchError, match="did you mean 'toy'"):
        genbench.cite("tiny", models="toi", results=results)


def test_a_site_is_of_every_benchmark_with_results_and_what_is_left_out_is_warned_of(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []

    def write(entries: Any, store: Store, directory: Path, registry: Registry, nearest: bool) -> list[str]:
        written.extend([directory, nearest, [entry.board.benchmark.name for entry in entries]])
        return ["a picture could not be read"]

    monkeypatch.setattr("genbench.publishing.write", write)
    with pytest.warns(UserWarning, match="^a picture could not be read"):
        assert genbench.publish(tmp_path / "site", nearest=False, results=results) == tmp_path / "site/index.html"
    assert written == [tmp_path / "site", False, ["tiny"]]
