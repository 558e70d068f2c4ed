"""Results of others: the folder of one run, beside which those of good runs stand."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import factories

from corpus import Case

TEXT = "<script>x</script> [red]=1+1|\\input{/etc/passwd}$`_*~ \x1b[31m\x9b2J\x07\u202e\u2066\ud800"
"""Hostile to everything that text is printed on."""


def record() -> dict[str, Any]:
    return dict(json.loads(factories.record("evil").to_json()))


def text(change: Callable[[dict[str, Any]], None] | None = None, **fields: Any) -> bytes:
    document = record()
    if change is not None:
        change(document)
    for path, value in fields.items():
        *outer, last = path.split("__")
        holder = document
        for key in outer:
            holder = holder[key]
        holder[last] = value
    return json.dumps(document).encode()


def run(content: bytes) -> Callable[[Path], Path]:
    """A builder of ``results/tiny/evil/seed-0`` with this for a record; returns the results folder."""

    def build(folder: Path) -> Path:
        home = folder / "tiny" / "evil" / "seed-0"
        home.mkdir(parents=True)
        (home / "record.json").write_bytes(content)
        (home / "log.txt").write_text("log")
        return folder

    return build


def replaced(make: Callable[[Path, Path], None]) -> Callable[[Path], Path]:
    """A good run, one of whose parts ``make(run, outside)`` has replaced."""

    def build(folder: Path) -> Path:
        run(text())(folder)
        make(folder / "tiny" / "evil" / "seed-0", folder.parent / "outside")
        return folder

    return build


def fifo_record(home: Path, outside: Path) -> None:
    (home / "record.json").unlink()
    os.mkfifo(home / "record.json")


def linked_record(home: Path, outside: Path) -> None:
    shutil.copy(home / "record.json", outside / "record.json")
    (home / "record.json").unlink()
    (home / "record.json").symlink_to(outside / "record.json")


def endless_record(home: Path, outside: Path) -> None:
    (home / "record.json").unlink()
    (home / "record.json").symlink_to("/dev/zero")


def folder_record(home: Path, outside: Path) -> None:
    (home / "record.json").unlink()
    (home / "record.json").mkdir()


def linked_run(home: Path, outside: Path) -> None:
    shutil.move(home, outside / "seed-0")
    home.symlink_to(outside / "seed-0")


def linked_model(home: Path, outside: Path) -> None:
    shutil.move(home.parent, outside / "evil")
    home.parent.symlink_to(outside / "evil")


def artifact(name: str, make: Callable[[Path], None] | None = None) -> Callable[[Path], Path]:
    def change(home: Path, outside: Path) -> None:
        (home / "record.json").write_bytes(text(artifacts={name: "sha256:" + "0" * 64}))
        if make is not None:
            make(home / name)

    return replaced(change)


def deep(levels: int) -> bytes:
    return text().replace(b'"environment": {', b'"environment": {"x": ' + b"[" * levels + b"]" * levels + b", ")


def surrogate(document: dict[str, Any]) -> None:
    document["environment"]["cpu"] = "\ud800"


BROKEN: dict[str, bytes] = {
    "nested 100 deep": deep(100),
    "nested 100,000 deep": deep(100_000),
    "a list 1,000,000 deep": b"[" * 1_000_000,
    "a number beyond floats": text().replace(b'"seed": 0', b'"seed": 1e999'),
    "a whole number of 100,000 digits": text().replace(b'"seed": 0', b'"seed": ' + b"9" * 100_000),
    "a score of NaN": text().replace(b'"value": 2.0', b'"value": NaN'),
    "a score of Infinity": text().replace(b'"value": 2.0', b'"value": Infinity'),
    "a score that is text": text(scores__fid__value="2.0"),
    "wrong types": text(scores=[], seed="0", model=None),
    "unknown fields": text(hook="os.system"),
    "an unknown status": text(status="won"),
    "a newer schema": text(schema=99),
    "a schema of text": text(schema="__import__('os')"),
    "no record": b'{"schema": 2}',
    "a number": b"17",
    "invalid UTF-8": text().replace(b"A CPU", b"\xff\xfe\x80"),
    "a byte order mark": b"\xef\xbb\xbf" + text(),
    "UTF-16": text().decode().encode("utf-16"),
    "empty": b"",
    "cut short": text()[:700],
    "five megabytes of spaces": b" " * (5 << 20) + text(),
    "three megabytes of spaces and no more": b" " * (3 << 20),
    "NUL characters": bytes(10_000),
    "a pickle": b"\x80\x04K\x01.",
    "another run's": text(model__name="other"),
    "another seed's": text(seed=7),
}
HARMLESS: dict[str, bytes] = {
    "a lone surrogate": text(surrogate),
    "hostile text everywhere": text(
        status="failed",
        reason=TEXT,
        scores={},
        model__plugin=TEXT,
        model__version=TEXT,
        model__reference=TEXT,
        environment={TEXT: TEXT},
        warnings=[TEXT],
        cost={TEXT: TEXT},
        withheld={TEXT: TEXT},
    ),
    "numbers of 60 digits": text(
        spent={"memory": 10**60, "flops": 10**60, "steps": 10**60}, cost={"parameters": 10**60}
    ),
    "scores at the end of floats": text(
        scores__fid__value=1.7e308, scores__kid__value=-1.7e308, scores__is__value=5e-324
    ),
}

CASES: dict[str, Case] = {
    **{f"record: {name}": Case(run(content), "evil") for name, content in BROKEN.items()},
    **{f"record: {name}": Case(run(content), None) for name, content in HARMLESS.items()},
    "record: a named pipe": Case(replaced(fifo_record), None),
    "record: a link out of the folder": Case(replaced(linked_record), None),
    "record: a link to an endless device": Case(replaced(endless_record), None),
    "record: a folder in its place": Case(replaced(folder_record), None),
    "run: a link out of the folder": Case(replaced(linked_run), None),
    "model: a link out of the folder": Case(replaced(linked_model), None),
    "artifact: ../": Case(artifact("../../../../outside/secret"), None),
    "artifact: an absolute path": Case(artifact("/etc/hostname"), None),
    "artifact: a dot": Case(artifact(".."), None),
    "artifact: NUL": Case(artifact("a\0b"), None),
    "artifact: a name of 5,000 characters": Case(artifact("a" * 5000), None),
    "artifact: a link out of the folder": Case(
        artifact("samples.png", lambda path: path.symlink_to(path.parents[4] / "outside" / "secret")), None
    ),
    "artifact: a named pipe": Case(artifact("samples.png", lambda path: os.mkfifo(path)), None),
    "artifact: a link to an endless device": Case(
        artifact("samples.png", lambda path: path.symlink_to("/dev/zero")), None
    ),
}
