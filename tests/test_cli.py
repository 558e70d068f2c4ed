"""The command line: what it imports, prints and exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import factories
import pytest

import genbench.plugins
from genbench import cli
from genbench.errors import StoreError, VerificationFailed
from genbench.plugins import Plugin, Registry
from genbench.store import Store, sha256_of

HEAVY = ("torch", "pandas", "rich", "pydantic", "sklearn", "numpy", "scipy", "torchvision", "jinja2", "matplotlib")
READING = [name for name in ("table", "list", "show", "publish", "doctor") if name in cli.COMMANDS]

Run = Callable[..., tuple[int, str, str]]


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The synthetic plugin in place of whatever is installed."""
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    registry = factories.registry(path)
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: registry)
    return registry


@pytest.fixture
def results(tmp_path: Path) -> Path:
    store = Store(tmp_path / "results")
    for seed in range(5):
        factories.commit(store, factories.record("toy", seed), samples=factories.png())
        factories.commit(store, factories.record("toy[width=3]", seed, fid=1.0), samples=factories.png())
    return store.root


@pytest.fixture
def run(installed: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: status, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main([str(arg) for arg in args])
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    done = python(f"import sys, genbench.cli; print([name for name in {HEAVY} if name in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr


def test_help_lists_all_commands_and_imports_none_of_them() -> None:
    code = "import sys; from genbench.cli import main; main(['--help']); print([m for m in sys.modules if m in %r])"
    modules = [module for module, _ in cli.COMMANDS.values()]
    done = python(code % [*modules, *HEAVY])
    for name, (_, summary) in cli.COMMANDS.items():
        assert f"{name} " in done.stdout
        assert summary in done.stdout
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("what", ["models", "benchmarks", "datasets", "evaluators", "metrics", "plugins"])
def test_listing_what_is_installed_never_imports_torch(what: str) -> None:
    code = (
        f"import sys; from genbench.cli import main; status = main(['list', {what!r}, '--json']);"
        "sys.exit(status or 10 * any(name in sys.modules for name in ('torch', 'sklearn', 'pandas', 'torchvision')))"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list)


def test_every_command_of_the_table_exists_and_shows_its_help(run: Run) -> None:
    for name in cli.COMMANDS:
        status, out, _ = run(name, "--help")
        assert status == 0
        assert f"genbench {name}" in out


@pytest.mark.parametrize("name", READING)
def test_the_help_of_a_reading_command_has_examples(run: Run, name: str) -> None:
    assert "Examples:" in run(name, "--help")[1]


def test_the_version_is_shown(run: Run) -> None:
    assert run("--version") == (0, f"genbench {genbench.__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["tabel"], "unknown command 'tabel'; did you mean 'table'?"),
        (["--verison"], "--version"),
        (["table", "--formta", "md"], "--format"),
        (["table", "--format", "mdd"], "'md'"),
        (["list", "model"], "models"),
        (["table", "-b", "tinny"], "unknown benchmark 'tinny'; did you mean 'tiny'?"),
        (["table", "-b", "tiny", "--sort", "fdi"], "did you mean 'fid'?"),
        (["table", "-b", "tiny", "--budget", "imges=3"], "did you mean 'images'?"),
        (["show"], "RUN"),
    ],
)
def test_a_usage_error_exits_2_and_names_the_nearest(run: Run, results: Path, args: list[str], named: str) -> None:
    status, out, err = run(*args, *(["--results", str(results)] if args[0] == "table" else []))
    assert (status, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


@pytest.fixture
def added(installed: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[click.Command], None]:
    def add(command: click.Command) -> None:
        monkeypatch.setattr(cli, "_third_party", lambda: {str(command.name): command})

    return add


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (StoreError("disk full"), 4, "Error: disk full"),
        (VerificationFailed("it differs"), 3, "Error: it differs"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (click.UsageError("no"), 2, "Error: no"),
    ],
)
def test_an_error_for_people_becomes_a_message_and_an_exit_status(
    run: Run, added: Callable[[click.Command], None], error: BaseException, status: int, said: str
) -> None:
    def fail() -> None:
        raise error

    added(click.Command("fail", callback=fail))
    found, out, err = run("fail")
    assert (found, out) == (status, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (5, 5), ("text", 0), (True, 0)])
def test_what_a_command_returns_is_the_exit_status(
    run: Run, added: Callable[[click.Command], None], returned: Any, status: int
) -> None:
    added(click.Command("mine", callback=lambda: returned))
    assert run("mine")[0] == status


def test_a_command_of_a_plugin_stands_in_the_help(run: Run, added: Callable[[click.Command], None]) -> None:
    added(click.Command("mine", callback=lambda: None, help="Do something else."))
    assert "Do something else." in run("--help")[1]


def test_a_reader_that_goes_away_is_met_quietly() -> None:
    code = "import sys; from genbench.cli import main; sys.exit(main(['--help']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_a_terminal_without_unicode_gets_a_table_and_no_traceback(results: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, %r); import genbench.plugins, pathlib, factories;"
        "registry = factories.registry(pathlib.Path(%r)); genbench.plugins.discover = lambda found=None: registry;"
        "from genbench.cli import main; sys.exit(main(['table', '-b', 'tiny', '--results', %r]))"
    )
    path = tmp_path / "tiny.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    done = python(code % (str(Path(__file__).parent), str(path), str(results)), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "toy[width=3]" in done.stdout


def test_a_broken_plugin_is_told_in_one_line_and_json_stays_json(run: Run, installed: Registry) -> None:
    installed.add(Plugin("bad", "bad-dist", "0.1", "bad"), lambda: 1 / 0)
    status, out, err = run("list", "models", "--json")
    assert status == 0
    assert [entry["name"] for entry in json.loads(out)] == ["toy"]
    assert err == (
        "Warning: plugin bad of bad-dist is not used: cannot be imported: ZeroDivisionError: division by zero\n"
    )


def test_broken_plugins_are_listed_with_their_cause(run: Run, installed: Registry) -> None:
    installed.add(Plugin("bad", "bad-dist", "0.1", "bad"), lambda: 1 / 0)
    _, out, _ = run("list", "plugins", "--json")
    problems = {entry["name"]: entry["problem"] for entry in json.loads(out)}
    assert problems["toys"] is None
    assert "ZeroDivisionError" in problems["bad"]
    assert "not used: cannot be imported: ZeroDivisionError" in run("list", "plugins")[1]


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("models", ["toy", "exact", "A toy"]),
        ("benchmarks", ["tiny", "1,000 images or 1 TFLOP", "Tiny pictures"]),
        ("datasets", ["1x8x8", "17", "1,197", "600"]),
        ("evaluators", ["tiny-cnn-v1", "32"]),
        ("metrics", ["fid", "lower", "Frechet distance"]),
        ("plugins", ["toys 1.0", "models: toy", "benchmarks: tiny"]),
    ],
)
def test_each_listing_shows_what_is_installed(run: Run, what: str, shown: list[str]) -> None:
    _, out, _ = run("list", what)
    for part in shown:
        assert part in out
    assert run("list", what, "--json")[0] == 0


def test_a_benchmark_that_cannot_be_used_is_listed_with_the_reason(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(factories.toml({**factories.DEFINITION, "colour": 1}))
    assert "unknown key 'colour'" in " ".join(run("list", "benchmarks")[1].split())


@pytest.mark.parametrize("format_", ["rich", "md", "csv", "latex", "json"])
def test_the_table_is_printed_in_every_format(run: Run, results: Path, format_: str) -> None:
    status, out, err = run("table", "-b", "tiny", "--format", format_, "--results", results)
    assert (status, err) == (0, "")
    assert out.index("width=3") < out.rindex("toy")


def test_json_is_alone_on_stdout(run: Run, results: Path) -> None:
    _, out, _ = run("table", "-b", "tiny", "--json", "--results", results)
    document = json.loads(out)
    assert document == json.loads(run("table", "-b", "tiny", "--format", "json", "--results", results)[1])
    assert [row["model"] for row in document["rows"]] == ["toy[width=3]", "toy"]


def test_an_unreadable_record_is_told_and_the_table_made_of_the_others(run: Run, results: Path) -> None:
    (results / "tiny/toy/seed-0/record.json").write_text("{")
    for format_ in ("rich", "md", "csv", "latex", "json"):
        status, out, err = run("table", "-b", "tiny", "--format", format_, "--results", results)
        assert status == 0
        assert "unreadable" in out + err
        assert "not JSON" in " ".join((out + err).split())


def test_the_results_folder_can_come_from_the_environment(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENBENCH_RESULTS", str(results))
    assert run("table", "-b", "tiny")[0] == 0


@pytest.mark.parametrize("command", [["table"], ["publish", "site"]])
def test_without_results_it_exits_5_and_says_how_to_get_some(run: Run, tmp_path: Path, command: list[str]) -> None:
    status, out, err = run(*command, "-b", "tiny", "--results", tmp_path / "none")
    assert (status, out) == (5, "")
    assert "genbench run --all -b tiny" in err
    assert not (tmp_path / "none").exists()


def test_records_of_another_definition_are_no_results(run: Run, results: Path, tmp_path: Path) -> None:
    definition = {**factories.DEFINITION, "seeds": [0, 1]}
    (tmp_path / "tiny.toml").write_text(factories.toml(definition))
    status, _, err = run("table", "-b", "tiny", "--results", results)
    assert status == 5
    assert "and 9 more: of another definition of tiny" in err


def test_dev_runs_have_a_table_of_their_own(run: Run, results: Path) -> None:
    dev = replace(factories.benchmark(), dev=True)
    factories.commit(Store(results), factories.record("only-dev", of=dev), folder=dev.folder)
    status, out, _ = run("table", "-b", "tiny", "--dev", "--results", results)
    assert status == 0
    assert "only-dev" in out
    assert "not a leaderboard: --dev" in out
    assert "only-dev" not in run("table", "-b", "tiny", "--results", results)[1]


def test_a_run_is_shown(run: Run, results: Path) -> None:
    status, out, _ = run("show", "tiny/toy[width=3]/seed-1", "--results", results)
    assert status == 0
    assert "tiny/toy[width=3]/seed-1" in out
    document = json.loads(run("show", results / "tiny/toy/seed-0", "--json", "--results", results)[1])
    assert document["scores"]["fid"]["value"] == 2.0


def test_a_run_that_is_not_there_is_answered_with_the_nearest(run: Run, results: Path) -> None:
    status, _, err = run("show", "tiny/toy/seed-9", "--results", results)
    assert status == 2
    assert "did you mean 'tiny/toy/seed-" in err


def test_a_run_whose_record_is_broken_exits_4(run: Run, results: Path) -> None:
    (results / "tiny/toy/seed-0/record.json").write_text("{")
    status, _, err = run("show", "tiny/toy/seed-0", "--results", results)
    assert status == 4
    assert "not JSON" in err


def test_publish_writes_a_page(run: Run, results: Path, tmp_path: Path) -> None:
    status, out, err = run("publish", tmp_path / "site", "-b", "tiny", "--no-nearest", "--results", results)
    assert (status, err) == (0, "")
    assert "2 models on tiny" in out
    assert (tmp_path / "site" / "index.html").is_file()


def test_publish_onto_a_file_is_refused(run: Run, results: Path, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    assert run("publish", tmp_path / "site", "-b", "tiny", "--results", results)[0] == 2


def findings(run: Run, *args: object) -> tuple[int, dict[str, list[dict[str, str]]]]:
    status, out, _ = run("doctor", "--json", *args)
    by_topic: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(out):
        by_topic.setdefault(finding["topic"], []).append(finding)
    return status, by_topic


def test_doctor_finds_what_is_wrong_and_says_what_to_do(
    run: Run, installed: Registry, results: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("genbench.cli.doctor.PROBE", "raise OSError('no driver')")
    monkeypatch.setattr("genbench.cli.doctor.PACKAGES", ("click", "no-such-package"))
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "tiny.toml"))
    installed.add(Plugin("bad", "bad-dist", "0.1", "bad"), lambda: 1 / 0)
    (results / "tiny/toy/seed-0/record.json").write_text("{")
    status, found = findings(run, "--results", results)
    assert status == 3
    wrong = {topic: [f for f in of if f["state"] == "wrong"] for topic, of in found.items()}
    assert "no driver" in wrong["torch"][0]["found"]
    assert "no-such-package is not installed" in wrong["packages"][0]["found"]
    assert "ZeroDivisionError" in wrong["plugins"][0]["found"]
    assert "weights /nowhere.safetensors are missing" in wrong["evaluators"][0]["found"]
    assert "is no folder" in wrong["cache"][0]["found"]
    assert all(finding["remedy"] for of in wrong.values() for finding in of)
    assert found["results"][0]["state"] == "note"
    assert "1 unreadable" in found["results"][0]["found"]


def test_doctor_is_content_with_what_works(
    run: Run, installed: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"weights")
    spec = replace(factories.EVALUATOR, weights=str(weights), sha256=sha256_of(weights).removeprefix("sha256:"))
    entry = installed.evaluators["tiny-cnn-v1"]
    installed.evaluators["tiny-cnn-v1"] = replace(entry, spec=spec)
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))
    status, found = findings(run, "--results", tmp_path / "none")
    assert status == 0, found
    assert "threads by default" in found["torch"][0]["found"]
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_doctor_tells_of_a_results_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    _, found = findings(run, "--results", locked / "results")
    assert found["results"][0]["state"] == "wrong"
