"""Files of others: each case of the corpus is refused or shown as text, whatever reads it; nothing else happens.

No code in them runs, nothing beside them is read or written, nothing hangs, and no memory is taken on their word.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import factories
import pytest
from commands import inside
from corpus import Case
from corpus.make import DEFINITIONS, EVERY, RECORDS, REFERENCES, SAMPLES, STATES

from genbench import cli, plugins
from genbench.engine.checkpoint import load_state
from genbench.engine.samples import load_labels, load_samples
from genbench.errors import GenbenchError
from genbench.reference_file import read_reference
from genbench.selection import load_benchmark
from genbench.specs import DataSpec
from genbench.store import Store
from genbench.supplies import supplied

DATA = DataSpec((1, 8, 8), 17, classes=10)
SECONDS = 10
"""Of one reading; the slowest takes a tenth of it."""
MOST_MEMORY = 64 << 20
"""Bytes that a reading may take, as Python and NumPy count them: the caps are below, what the files claim far above."""

SECRET = "what stands outside"

opened: list[str] | None = None
"""Paths that were opened, links followed, while somebody listens."""


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if opened is not None and event == "open" and isinstance(arguments[0], str | bytes):
        path = os.fsdecode(arguments[0])
        unfollowed = isinstance(arguments[2], int) and arguments[2] & os.O_NOFOLLOW
        folder, name = os.path.split(path)
        opened.append(os.path.join(os.path.realpath(folder), name) if unfollowed else os.path.realpath(path))


sys.addaudithook(_hear)


@contextmanager
def watched(home: Path, memory: bool = True, named: bool = False) -> Iterator[None]:
    """What is done inside ends in time, opens and changes nothing in ``outside``, and runs no canary.

    Args:
        memory: whether it is bounded too.
        named: whether a person has typed the path, so that a link in it is theirs and may be followed.
    """
    global opened

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"hangs for more than {SECONDS} s")

    before = {path: path.lstat().st_mtime_ns for path in sorted((home / "outside").rglob("*"))}
    handler = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    opened = []
    if memory:
        tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] if memory else 0
    finally:
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        heard, opened = opened, None
    assert peak < MOST_MEMORY, f"{peak >> 20} MiB were taken"
    assert named or not [path for path in heard if path.startswith(str(home / "outside"))]
    assert {path: path.lstat().st_mtime_ns for path in sorted((home / "outside").rglob("*"))} == before
    assert not list(home.rglob("canary"))
    assert not Path("canary").exists()


def built(case: Case, home: Path) -> Path:
    for name in ("inside", "outside"):
        (home / name).mkdir()
    (home / "outside" / "secret").write_text(SECRET)
    return case.build(home / "inside")


def read(case: Case, home: Path, reader: Callable[[Path], object]) -> None:
    """Let a reader have the case: it refuses, saying why on lines that a terminal may have, or gives a value."""
    path = built(case, home)
    with watched(home):
        try:
            reader(path)
            said = None
        except GenbenchError as error:
            said = str(error)
    if case.says is None:
        assert said is None
        return
    assert said is not None, "it was taken"
    assert re.search(case.says, said), said
    assert all(line.isprintable() for line in said.split("\n")), said
    assert len(said) < 10_000


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(EVERY) >= 200


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_of_others_are_refused_or_read_within_bounds(name: str, tmp_path: Path) -> None:
    def reader(path: Path) -> None:
        samples = load_samples(path, DATA)
        assert samples.dtype == "uint8"
        load_labels(path, len(samples), DATA)

    read(SAMPLES[name], tmp_path, reader)


@pytest.mark.parametrize("name", STATES)
def test_states_of_others_are_refused_unread(name: str, tmp_path: Path) -> None:
    read(STATES[name], tmp_path, load_state)


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_statistics_of_others_are_refused(name: str, tmp_path: Path) -> None:
    read(REFERENCES[name], tmp_path, read_reference)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_broken_reference_is_refused_for_a_benchmark_too(name: str, tmp_path: Path) -> None:
    path = built(REFERENCES[name], tmp_path)
    with watched(tmp_path), pytest.raises(GenbenchError):
        supplied(factories.benchmark(), references=[path])


@pytest.mark.parametrize("name", DEFINITIONS)
def test_definitions_of_others_are_refused_with_file_and_key(name: str, tmp_path: Path) -> None:
    registry = factories.registry()
    read(DEFINITIONS[name], tmp_path, lambda path: load_benchmark(registry, str(path)))


@pytest.mark.parametrize("name", ["npy: a named pipe", "npz: a link to an endless device", "npy: a bare pickle"])
def test_weights_that_are_no_file_or_no_ones_are_refused(name: str, tmp_path: Path) -> None:
    path = built(SAMPLES[name], tmp_path)
    with watched(tmp_path), pytest.raises(GenbenchError, match=r"regular file|other weights are never taken"):
        supplied(factories.benchmark(), weights=[path])


Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Commands in this process, on the synthetic benchmark: exit status, and stdout with stderr."""
    (tmp_path / "tiny.toml").write_text(factories.toml(factories.DEFINITION))
    registry = factories.registry(tmp_path / "tiny.toml")
    monkeypatch.setattr(plugins, "discover", lambda found=None: registry)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        output = capfd.readouterr()
        return status, output.out + output.err

    return command


@pytest.fixture(scope="module")
def good_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("good") / "results")
    for model in ("good", "better"):
        for seed in range(5):
            factories.commit(store, factories.record(model, seed), samples=factories.png())
    return store.root


@pytest.mark.parametrize("name", RECORDS)
def test_results_of_others_leave_the_other_rows_standing(
    name: str, tmp_path: Path, call: Call, good_results: Path
) -> None:
    case = RECORDS[name]
    results = built(case, tmp_path)
    for model in ("good", "better"):
        shutil.copytree(good_results / "tiny" / model, results / "tiny" / model)
    commands: dict[str, tuple[object, ...]] = {
        "table": ("table", "-b", "tiny", "--format", "md"),
        "publish": ("publish", tmp_path / "site", "-b", "tiny", "--no-nearest"),
        "show": ("show", "tiny/evil/seed-0"),
        "verify": ("verify", "tiny/evil/seed-0"),
        "show by path": ("show", results / "tiny" / "evil" / "seed-0"),
    }
    if case.says is None:
        commands["compare"] = ("compare", "good", "evil", "-b", "tiny")
        commands["json"] = ("table", "-b", "tiny", "--json")
    said = {}
    for command, arguments in commands.items():
        with watched(tmp_path, memory=False, named=command == "show by path"):
            status, said[command] = call(*arguments, "--results", results)
        assert status in ((0,) if command in ("table", "json", "publish") else (0, 2, 3, 4, 5))
        visible = said[command].replace("\n", "")
        assert visible.isprintable(), ascii(visible)
    assert re.search(r"\| good ", said["table"])
    assert re.search(r"\| better ", said["table"])
    if case.says is not None:
        assert re.search(case.says, said["table"]), "the table does not tell of it"
    assert SECRET not in "".join(said.values())


@pytest.mark.parametrize(
    "other", ["record: a named pipe", "record: a link out of the folder", "record: nested 100 deep"]
)
def test_a_run_is_shown_whatever_stands_in_the_place_of_another_seed(
    other: str, tmp_path: Path, call: Call, good_results: Path
) -> None:
    results = built(RECORDS[other], tmp_path)
    shutil.move(results / "tiny" / "evil" / "seed-0", results / "tiny" / "evil" / "seed-9")
    shutil.copytree(good_results / "tiny" / "good", results / "tiny" / "evil", dirs_exist_ok=True)
    with watched(tmp_path, memory=False):
        status, said = call("show", results / "tiny" / "evil" / "seed-0", "--results", results)
    assert status == 0
    assert "5 of 5 seeds are ok" in " ".join(said.split())


def test_verifying_goes_on_after_a_run_whose_file_has_an_impossible_name(
    tmp_path: Path, call: Call, good_results: Path
) -> None:
    results = built(RECORDS["artifact: a name of 5,000 characters"], tmp_path)
    shutil.copytree(good_results / "tiny" / "good", results / "tiny" / "good")
    status, said = call("verify", "tiny/evil/seed-0", "tiny/good/seed-0", "--results", results)
    assert status == 3
    assert "tiny/evil/seed-0: NOT verified" in said
    assert "tiny/good/seed-0: NOT verified" in said, "a synthetic record, which has no files"
    assert "of 2 runs verified" in said


@pytest.mark.parametrize(
    ("arguments", "kind", "name"),
    [
        (("score",), SAMPLES, "npz: a pickled object"),
        (("score",), SAMPLES, "png: a bomb of pixels"),
        (("reference", "show"), REFERENCES, "reference: a header of 2^63 bytes"),
        (("table", "-b"), DEFINITIONS, "toml: a dotted key of 20,000 parts"),
        (("run", "noise", "-b"), DEFINITIONS, "toml: a named pipe"),
        (("table", "-b", "digits", "--results"), RECORDS, "record: nested 100,000 deep"),
    ],
    ids=["samples", "pictures", "reference", "definition", "pipe", "record"],
)
def test_the_commands_themselves_refuse_without_a_traceback(
    arguments: tuple[str, ...], kind: dict[str, Case], name: str, tmp_path: Path
) -> None:
    path = built(kind[name], tmp_path)
    done = inside(*arguments, path)  # which fails for any traceback
    assert done.returncode in (2, 5)
    assert done.stderr.startswith("Error: ")
    assert not list(tmp_path.rglob("canary"))
