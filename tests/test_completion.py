"""Shell completion: what is offered where, through click's own protocol; and what it must not cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import factories
import pytest
from click.shell_completion import CompletionItem, ShellComplete

import genbench.plugins
from genbench.cli import COMMANDS, cli, main
from genbench.store import Store


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a benchmark and a folder of results, to be read only."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "tiny.toml").write_text(factories.toml({**factories.DEFINITION, "seeds": [0, 1, 2, 3, 10]}))
    store = Store(folder / "results")
    for model, seed in (("toy", 0), ("toy", 12), ("toy[width=3]", 0)):
        factories.commit(store, factories.record(model, seed))
    (store.root / ".work" / "digits").mkdir(parents=True)
    return folder


@pytest.fixture(autouse=True)
def _in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That folder is the current one, and the synthetic plugin stands in place of whatever is installed."""
    registry = factories.registry(place / "tiny.toml")
    monkeypatch.setattr(genbench.plugins, "discover", lambda found=None: registry)
    monkeypatch.chdir(place)


def items(*words: str) -> list[CompletionItem]:
    """What is offered behind ``genbench WORDS``, the last of which is not whole yet."""
    return ShellComplete(cli, {}, "genbench", "_GENBENCH_COMPLETE").get_completions(list(words[:-1]), words[-1])


def offered(*words: str) -> list[str]:
    """The words among them, files and folders left out."""
    return [item.value for item in items(*words) if item.type == "plain"]


def test_commands_are_offered_with_what_they_do_and_none_is_imported() -> None:
    assert offered("") == [*COMMANDS]
    assert [(item.value, item.help) for item in items("com")] == [
        (name, COMMANDS[name][1]) for name in ("compare", "completion")
    ]
    code = (
        "import sys; from click.shell_completion import ShellComplete; from genbench.cli import cli; "
        "found = ShellComplete(cli, {}, 'genbench', 'X').get_completions([], 'r'); "
        "print([item.value for item in found], [name for name in sys.modules if name.startswith('genbench.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['run', 'reference'] []\n"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("run", "t"), ["toy"]),
        (("run", "toy", ""), ["toy"]),
        (("run", "x"), []),
        (("run", "toy[w"), ["toy[width="]),
        (("run", "toy[width=3,l"), ["toy[width=3,lr=", "toy[width=3,loss="]),
        (("run", "toy[width=3,w"), []),
        (("run", "toy[width="), []),
        (("run", "nosuch[w"), []),
        (("check", "to"), ["toy"]),
        (("run", "-b", ""), ["tiny"]),
        (("table", "--benchmark", "t"), ["tiny"]),
        (("table", "-b", "tiny", "--sort", "p"), ["precision"]),
        (("table", "--models", "toy,"), ["toy,toy"]),
        (("run", "--executor", "l"), ["local"]),
        (("run", "--rerun", ""), ["failed", "all"]),
        (("compare", "-b", "tiny", "t"), ["toy", "toy[width=3]"]),
        (("compare", "-b", "tiny", "--metric", "f"), ["fid"]),
        (("compare", "-b", "tiny", "--results", "elsewhere", "t"), []),
        (("reference", "export", "--evaluator", "t"), ["tiny-cnn-v1"]),
        (("data", "fetch", "t"), ["tiny"]),
        (("data", "fetch", "tiny", "t"), []),
        (("show", ""), ["tiny/toy/", "tiny/toy[width=3]/"]),
        (("show", "tiny/"), ["tiny/toy/", "tiny/toy[width=3]/"]),
        (("show", "tiny/toy["), ["tiny/toy[width=3]/seed-0"]),
        (("show", "tiny/toy/"), ["tiny/toy/seed-0", "tiny/toy/seed-12"]),
        (("sample", "tiny/toy/seed-1"), ["tiny/toy/seed-12"]),
        (("verify", "tiny/toy[width=3]/s"), ["tiny/toy[width=3]/seed-0"]),
        (("submit", "tiny/toy/seed-0/"), []),
        (("completion", ""), ["bash", "zsh", "fish"]),
    ],
)
def test_names_are_offered_where_they_may_stand(words: tuple[str, ...], values: list[str]) -> None:
    assert offered(*words) == values


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("", ["0", "1", "2", "3", "10"]),
        ("1", ["1", "10"]),
        ("0,1", ["0,1", "0,10"]),
        ("0,1,", ["0,1,2", "0,1,3", "0,1,10"]),
        ("1-", ["1-2", "1-3", "1-10"]),
        ("0,2-1", ["0,2-10"]),
        ("x-", []),
    ],
)
def test_seeds_are_those_of_the_benchmark_that_is_named(typed: str, values: list[str]) -> None:
    assert offered("run", "toy", "-b", "tiny", "--seeds", typed) == values


def test_seeds_without_a_gap_are_offered_as_a_range_too(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(factories.toml(factories.DEFINITION))
    assert offered("run", "-b", str(path), "--seeds", "")[0] == "0-4"
    assert offered("run", "-b", "nosuch", "--seeds", "") == []


@pytest.mark.parametrize(("words", "kind"), [(("run", "./my_mo"), "file"), (("table", "-b", "~/x"), "file"),
                                             (("show", "resu"), "dir"), (("compare", "ba"), "dir")])  # fmt: skip
def test_paths_are_left_to_the_shell_before_any_name(words: tuple[str, ...], kind: str) -> None:
    first = items(*words)[0]
    assert (first.type, first.value) == (kind, words[-1])


def test_a_name_that_a_shell_would_take_for_two_answers_is_not_offered(tmp_path: Path) -> None:
    for name in ("fine", "odd\nplain,injected", "odd\x1b[31m"):
        (tmp_path / "results" / name / "m" / "seed-0").mkdir(parents=True)
    assert offered("show", "--results", str(tmp_path / "results"), "") == ["fine/m/seed-0"]


def test_a_results_folder_that_is_not_there_offers_nothing_and_breaks_nothing() -> None:
    assert offered("show", "--results", "nosuch", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_says_where_to_put_it_and_asks_genbench(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    first, second = script.splitlines()[:2]
    assert (second if first == "#compdef genbench" else first).startswith("# Put this into ")
    assert f"_GENBENCH_COMPLETE={shell}_complete" in script
    assert "%(" not in script


def test_an_answer_to_fish_keeps_its_commas(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "fish"])
    assert 'string split --max 1 "," $completion' in capsys.readouterr().out


def test_a_shell_is_answered_by_the_program_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_GENBENCH_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "genbench run to")
    monkeypatch.setenv("COMP_CWORD", "2")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert capsys.readouterr().out == "plain,toy\n"


def test_bash_itself_completes(tmp_path: Path) -> None:
    program = tmp_path / "genbench"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m genbench.cli "$@"\n')
    program.chmod(0o755)
    code = (
        f"PATH={tmp_path}:$PATH; source <(genbench completion bash); COMP_WORDS=(genbench run --rer); COMP_CWORD=2; "
        '_genbench_completion genbench; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("--rerun\n", "")
