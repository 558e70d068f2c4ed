"""Weights that do not ship: found in a cache or downloaded, taken only if they have the declared hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from pydantic import TypeAdapter

from genbench.engine.download import DOWNLOAD_ERRORS, download
from genbench.errors import DataError
from genbench.specs import EvaluatorSpec
from genbench.supplies import file_sha256


def ready_weights(evaluator: dict[str, Any], cache: str, offline: bool) -> str:
    """The path of an evaluator's weights, which do not ship with it.

    Args:
        evaluator: an :class:`~genbench.specs.EvaluatorSpec` as a dict.
        cache: genbench's folder of weights; downloads go there.
        offline: whether nothing may be downloaded.

    Raises:
        DataError: if no file with the declared hash is to be had, saying every way to get it.
    """
    return str(find_weights(TypeAdapter(EvaluatorSpec).validate_python(evaluator), Path(cache), offline))


def find_weights(spec: EvaluatorSpec, cache: Path, offline: bool) -> Path:
    """A file with the declared hash from genbench's cache or torch hub's, or else from the network.

    Raises:
        DataError: if there is none.
        StoreError: if the disk refuses what was downloaded.
    """
    rejected = []
    for path in _candidates(spec, cache):
        if not path.is_file():
            continue
        try:
            found = file_sha256(path)
        except OSError as error:
            rejected.append(f"{path} cannot be read: {error.strerror}")
            continue
        if found == spec.sha256:
            return path
        rejected.append(f"{path} has another hash, {found}")
    if not spec.url:
        raise _missing(spec, cache, rejected, "and it has no address to download them from")
    if offline:
        raise _missing(spec, cache, rejected, "and downloads are forbidden (--offline or GENBENCH_OFFLINE)")
    target = cache / spec.file
    try:
        download(spec.url, target, spec.sha256)
    except DOWNLOAD_ERRORS as error:
        raise _missing(spec, cache, rejected, f"and {spec.url} cannot be had: {error}") from None
    return target


def _candidates(spec: EvaluatorSpec, cache: Path) -> list[Path]:
    """Where the file may stand, under its name in caches or that of its address."""
    names = dict.fromkeys(name for name in (spec.file, Path(urlsplit(spec.url).path).name) if name)
    folders = (cache, Path(torch.hub.get_dir()) / "checkpoints")
    return [folder / name for folder in folders for name in names]


def _missing(spec: EvaluatorSpec, cache: Path, rejected: list[str], why: str) -> DataError:
    looked = ", ".join(str(path) for path in _candidates(spec, cache))
    ways = [f"give the file with --weights PATH, or put it at {cache / spec.file}"]
    if spec.url:
        ways.insert(0, f"where there is a network, download {spec.url}")
    return DataError(
        "\n".join(
            [
                f"evaluator {spec.name!r}: its weights do not ship with genbench and were not found, {why}",
                f"  needed: {spec.file or 'a file'} with the SHA-256 {spec.sha256}",
                f"  looked for: {looked}",
                *(f"  not taken: {line}" for line in rejected),
                *(f"  to do: {line}" for line in ways),
            ]
        )
    )
