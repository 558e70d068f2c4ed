"""`genbench run` as its users meet it: again, side by side, interrupted, on bad input. Bad models: ``test_zoo.py``."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from commands import ZOO, genbench, inside, start
from tiny import BENCHMARK, records


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmark") / "tiny.toml"
    path.write_text(BENCHMARK)
    return path


@pytest.fixture(scope="module")
def ran(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a good run and two failed ones."""
    results = tmp_path_factory.mktemp("ran") / "results"
    models = ("zoo-good", "zoo-raises", "zoo-vanishes")
    genbench("run", *models, "-b", benchmark, "--seeds", "0", "--results", results, python_path=(ZOO,))
    return results


def test_a_second_call_trains_nothing_and_keeps_every_record(ran: Path, benchmark: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in ran.rglob("record.json")}
    done = genbench(
        "run", "zoo-good", "zoo-raises", "-b", benchmark, "--seeds", "0", "--results", ran, python_path=(ZOO,)
    )
    assert "done already" in done.stderr
    assert done.returncode == 1  # one of them failed, and still has
    assert {path: path.stat().st_mtime_ns for path in ran.rglob("record.json")} == before


def test_failed_runs_are_done_again_on_request_and_their_attempts_kept(ran: Path, benchmark: Path) -> None:
    done = inside(
        "run",
        "zoo-good",
        "zoo-vanishes",
        "-b",
        benchmark,
        "--seeds",
        "0",
        "--rerun",
        "failed",
        "--results",
        ran,
        python_path=(ZOO,),
    )
    assert "1 run to do" in done.stderr
    assert len(records(ran)["zoo-vanishes/0"].attempts) == 2


def test_runs_of_a_changed_benchmark_are_superseded(tmp_path: Path) -> None:
    path, results = tmp_path / "tiny.toml", tmp_path / "results"
    path.write_text(BENCHMARK)
    inside("run", "noise", "-b", path, "--seeds", "0", "--results", results)
    path.write_text(BENCHMARK.replace("n = 64", "n = 65"))
    done = inside("run", "noise", "-b", path, "--seeds", "0", "--results", results)
    assert "has changed" in done.stderr
    assert records(results)["noise/0"].scores["fid"].n == 65
    assert len(list((results / ".superseded").rglob("record.json"))) == 1


def test_other_budgets_and_dev_runs_stay_out_of_the_leaderboard(benchmark: Path, tmp_path: Path) -> None:
    common = ("-b", benchmark, "--seeds", "0", "--results", tmp_path)
    assert inside("run", "marginals", *common, "--dev").returncode == 0
    assert inside("run", "marginals", *common, "--budget", "images=400").returncode == 0
    assert inside("table", "-b", benchmark, "--results", tmp_path).returncode == 5


@pytest.mark.parametrize("count", [2, 4])
def test_harnesses_on_one_folder_do_each_run_once(benchmark: Path, tmp_path: Path, count: int) -> None:
    models = ("zoo-good", "marginals", "noise")
    harnesses = [
        start("run", *models, "-b", benchmark, "--results", tmp_path, python_path=(ZOO,)) for _ in range(count)
    ]
    errors = [process.communicate(timeout=200)[1] for process in harnesses]
    assert [record.status for record in records(tmp_path).values()] == ["ok"] * 6, errors
    assert all(len(record.attempts) == 1 for record in records(tmp_path).values())
    assert not (tmp_path / ".superseded").exists()
    assert list((tmp_path / ".work").iterdir()) == []
    # One did the last run; a harness whose runs another one still holds has less than it was asked for, and says so.
    codes = [process.returncode for process in harnesses]
    assert set(codes) <= {0, 1} and 0 in codes, errors  # noqa: PT018


def test_one_model_in_two_spellings_is_one_row(benchmark: Path, tmp_path: Path) -> None:
    models = ("noise", "noise[]", "marginals[batch_size=4]", "marginals[ batch_size = 4 ]")
    done = inside("run", *models, "-b", benchmark, "--results", tmp_path, "--dry-run", "--json")
    planned = [run["run"] for run in json.loads(done.stdout)["runs"]]
    assert len(planned) == len(set(planned)) == 4


def test_a_dry_run_changes_nothing_not_even_an_unreadable_record(benchmark: Path, tmp_path: Path) -> None:
    record = tmp_path / "tiny" / "noise" / "seed-0" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    done = inside("run", "noise", "-b", benchmark, "--results", tmp_path, "--dry-run")
    assert "unreadable" in done.stdout
    assert record.read_text() == "{"


def test_an_unreadable_record_is_quarantined_and_its_run_done_again(benchmark: Path, tmp_path: Path) -> None:
    record = tmp_path / "tiny" / "noise" / "seed-0" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text("{")
    done = inside("run", "noise", "-b", benchmark, "--seeds", "0", "--results", tmp_path)
    assert "quarantine" in done.stderr
    assert done.returncode == 0
    assert [path.read_text() for path in tmp_path.glob(".quarantine/**/record.json")] == ["{"]


def test_output_to_a_full_disk_is_told_without_a_traceback() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "genbench.cli", "list", "models"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_sigterm_ends_everything_at_once_and_is_told_in_the_exit_code(tmp_path: Path) -> None:
    path, results = tmp_path / "tiny.toml", tmp_path / "results"
    path.write_text(BENCHMARK.replace("seconds = 3.0", "seconds = 60.0"))
    process = start("run", "zoo-hangs", "-b", path, "--seeds", "0", "--results", results, python_path=(ZOO,))
    while not (children := psutil.Process(process.pid).children(recursive=True)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)  # until there is a fork server, which is then still importing
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143, process.communicate()
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_interrupted_runs_are_cancelled_and_the_next_call_goes_on(tmp_path: Path) -> None:
    path, results = tmp_path / "tiny.toml", tmp_path / "results"
    path.write_text(BENCHMARK.replace("seconds = 3.0", "seconds = 60.0"))
    models = ("zoo-hangs", "noise")
    process = start("run", *models, "-b", path, "--seeds", "0", "--jobs", 1, "--results", results, python_path=(ZOO,))
    while not list(results.glob(".work/*hangs*/scratch")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert records(results)["zoo-hangs/0"].status == "cancelled"
    assert "noise/0" not in records(results)
    done = inside("run", "noise", "-b", path, "--seeds", "0", "--results", results, python_path=(ZOO,))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("run", "markinals"), 2, "did you mean 'marginals'?"),
        (("run", "marginals[bach_size=3]"), 2, "did you mean 'batch_size'?"),
        (("run", "marginals[batch_size=wide]"), 2, "type int"),
        (("run", "dcgan", "-b", "digit"), 2, "did you mean 'digits'?"),
        (("run", "dcgan", "--seed", "0"), 2, "--seeds"),
        (("run", "dcgan", "--seeds", "a"), 2, "0-4"),
        (("run", "dcgan", "--seeds", "77"), 2, "77"),
        (("run", "dcgan", "--budget", "imges=1"), 2, "did you mean 'images'?"),
        (("run", "dcgan", "--budget", "images=-1"), 2, "images"),
        (("runn",), 2, "did you mean 'run'?"),
        (("run",), 5, "--all"),
        (("run", "noise", "--results", "/dev/null/results"), 4, "--results"),
        (("table", "--results", "nowhere"), 5, "genbench run"),
    ],
)
def test_bad_input_is_answered_with_a_hint_and_an_exit_code(
    arguments: tuple[str, ...], code: int, hint: str, tmp_path: Path
) -> None:
    done = inside(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("images = 800", "imges = 800"), "imges"),
        (("images = 800", "images = 'many'"), "budget.images"),
        (("images = 800", "images = 0"), "budget.images"),
        (("n = 64", "n = 1"), "samples.n"),
        (('dataset = "digits"', 'dataset = "digitz"'), "digitz"),
        (('name = "tiny"', "name = tiny"), "TOML"),
    ],
)
def test_a_bad_benchmark_file_is_refused_naming_file_and_key(
    change: tuple[str, str], named: str, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(BENCHMARK.replace(*change))
    done = inside("run", "noise", "-b", path, "--results", tmp_path / "results")
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert named in done.stderr
    assert not (tmp_path / "results").exists()


def test_an_unreadable_record_is_told_and_skipped(benchmark: Path, tmp_path: Path) -> None:
    inside("run", "noise", "marginals", "-b", benchmark, "--seeds", "0", "--results", tmp_path)
    torn = tmp_path / "tiny" / "noise" / "seed-0" / "record.json"
    torn.write_text(torn.read_text()[:100])
    done = inside("table", "-b", benchmark, "--results", tmp_path, "--format", "json")
    assert "noise/seed-0" in done.stderr + done.stdout
    assert "marginals" in json.dumps(json.loads(done.stdout))
