"""Benchmark definitions: TOML."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import factories

from corpus import Case, written

GOOD = factories.toml(factories.DEFINITION)


def toml(text: str | bytes) -> Callable[[Path], Path]:
    return written("tiny.toml", text if isinstance(text, bytes) else text.encode())


def with_key(line: str) -> Callable[[Path], Path]:
    """The good definition with one more line at its top."""
    return toml(f"{line}\n{GOOD}")


def changed(key: str, value: str) -> Callable[[Path], Path]:
    lines = [f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in GOOD.splitlines()]
    assert f"{key} = {value}" in lines
    return toml("\n".join(lines))


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "tiny.toml")
    return folder / "tiny.toml"


def endless(folder: Path) -> Path:
    (folder / "tiny.toml").symlink_to("/dev/zero")
    return folder / "tiny.toml"


def in_place_of_a_file(folder: Path) -> Path:
    (folder / "tiny.toml").mkdir()
    return folder / "tiny.toml"


IMPOSSIBLE = {"negative": "-1", "zero": "0", "endless": "inf", "not a number": "nan", "beyond any float": "1e400",
              "a number of 400 digits": "9" * 400, "a hexadecimal number of 8,000 digits": "0x" + "f" * 8000,
              "a date": "1979-05-27", "text": '"1000"', "true": "true"}  # fmt: skip

CASES: dict[str, Case] = {
    **{
        f"toml: a budget of {name}": Case(changed("images", value), r"tiny\.toml.*(budget\.images|thousands of digits)")
        for name, value in IMPOSSIBLE.items()
    },
    "toml: seconds without end": Case(changed("seconds", "inf"), r"budget\.seconds"),
    "toml: an unknown key": Case(with_key("sedes = [1]"), "did you mean 'seeds'"),
    "toml: a key of terminal codes": Case(with_key('"\\u001b[2J\\u202e" = 1'), "unknown key"),
    "toml: thousands of unknown keys": Case(
        toml("\n".join(f"k{index} = 1" for index in range(4000)) + "\n" + GOOD), "and .* more"
    ),
    "toml: nested lists": Case(with_key(f"x = {'[' * 20_000}{']' * 20_000}"), "nested too deeply|not a TOML"),
    "toml: nested tables": Case(with_key(f"x = {'{a=' * 12_000}1{'}' * 12_000}"), "nested too deeply|not a TOML"),
    "toml: a dotted key of 20,000 parts": Case(with_key(".".join("a" * 20_000) + " = 1"), "dotted key"),
    "toml: a dotted table of 20,000 parts": Case(toml(GOOD + "[" + " . ".join("a" * 15_000) + "]\n"), "dotted key"),
    "toml: quoted parts that hide their dots": Case(with_key(".".join(['"\\""'] * 9_000) + " = 1"), "dotted key"),
    "toml: many keys of 16 parts": Case(
        toml("".join(f"{'.'.join('a' * 15)}.k{index} = 1\n" for index in range(1400)) + GOOD), "unknown key"
    ),
    "toml: invalid UTF-8": Case(toml(b'title = "\xff\xfe"\n' + GOOD.encode()), "not a TOML file"),
    "toml: a byte order mark": Case(toml(b"\xef\xbb\xbf" + GOOD.encode()), "not a TOML file"),
    "toml: NUL characters": Case(toml(b"\0" * 5000), "not a TOML file"),
    "toml: two megabytes": Case(toml("# padding\n" * 210_000 + GOOD), "larger than"),
    "toml: empty": Case(toml(""), "field required"),
    "toml: a pickle": Case(toml(b"\x80\x04K\x01."), "not a TOML file"),
    "toml: a name that leaves the folder": Case(changed("name", '"../../outside/x"'), "name: must match"),
    "toml: a name with markup": Case(changed("name", '"<b>[red]x"'), "name: must match"),
    "toml: a name with a line end": Case(changed("name", '"tiny\\n"'), "name: must match"),
    "toml: a data set that is a path": Case(changed("dataset", '"../outside/secret"'), "unknown dataset"),
    "toml: data that are missing": Case(changed("dataset", '"nowhere"'), "dataset: unknown"),
    "toml: a metric with terminal codes": Case(changed("metrics", '["\\u001b[31mfid"]'), "metrics: unknown"),
    "toml: seeds that are no numbers": Case(changed("seeds", '["a", 1.5]'), "seeds"),
    "toml: a million seeds": Case(changed("seeds", "[" + "0," * 30_000 + "]"), "must be distinct"),
    "toml: a hostile title": Case(changed("title", '"<script>\\u001b[31m\\u202e=1+1 \\\\input{x} |"'), None),
    "toml: a named pipe": Case(fifo, "no regular file"),
    "toml: a link to an endless device": Case(endless, "no regular file"),
    "toml: a folder": Case(in_place_of_a_file, "regular file|directory"),
}
