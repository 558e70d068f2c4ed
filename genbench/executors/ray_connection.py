"""What the ray executor holds for the time of a call: a connection to the cluster, and a sign in the results folder."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from genbench.claims import as_store_error
from genbench.errors import GenbenchError
from genbench.executors.interface import Setting, refuse_unknown
from genbench.executors.shipping import write_token

OPTIONS = ("address",)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
REACH_SECONDS = 10.0
"""That the head of a cluster may take to accept a connection."""


@contextmanager
def connected(setting: Setting) -> Iterator[None]:
    """A connection to the cluster that the options name; one that this process has already is used and left.

    Raises:
        GenbenchError: for an unknown option, or if there is no such cluster.
    """
    refuse_unknown("ray", setting.options, OPTIONS)
    given = setting.options.get("address")
    if ray.is_initialized():
        if given:
            setting.say(f"address={given} is passed over: this process is connected to a Ray cluster, which is used")
        yield
        return
    address = given or "auto"
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or "auto"  # as Ray does
    # Of a cluster that is started here. Ray's workers would have a niceness of 15, and so would the runs.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")
    extra: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    _reach(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **extra)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        # All its lines: of versions that do not match the first one tells nothing.
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:400].rstrip('.')}"
        raise _no_cluster(address, why + _about_tokens(address)) from None
    try:
        with contextlib.redirect_stdout(sys.stderr):  # on which Ray tells of dead nodes; stdout is for records
            yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Find out within seconds that nothing answers at ``host:port``: Ray itself tries for minutes.

    Raises:
        GenbenchError: if nothing does; for the address of a server for Ray's client, whose drivers are on no node.
    """
    if "://" in address:
        raise GenbenchError(
            f"--executor ray: {address!r} is for Ray's client, which is outside a cluster; call genbench on a node of "
            "the cluster, without that address"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # ``auto``, ``local``, or a form of which Ray says what is wrong
    hosts = [host.strip("[]")]
    if hosts[0] in LOOPBACK:
        own_address: Any = ray.util.get_node_ip_address  # which has no types, and is what Ray takes it for
        hosts.append(own_address())
    for each in hosts:
        try:
            socket.create_connection((each, int(port)), REACH_SECONDS).close()
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
        else:
            return
    raise _no_cluster(address, f"nothing answers there ({why})")


def _no_cluster(address: str, why: str) -> GenbenchError:
    return GenbenchError(
        f"--executor ray: no Ray cluster at {address!r}: {why}. Start one with `ray start --head`, name one with "
        "--executor-option address=HOST:PORT or RAY_ADDRESS, or try one on this machine alone with address=local"
    )


def _about_tokens(address: str) -> str:
    """What to do where a cluster asks for a token, as Ray's do by default from 2.59 on: its own error does not say."""
    if address in ("auto", "local") or "RAY_AUTH_MODE" in os.environ:
        return ""
    return " (if it asks for a token, set RAY_AUTH_MODE=token)"


@contextmanager
def shared_token(root: Path) -> Iterator[str]:
    """The name of a file in ``.work`` of a results folder that nodes must see, and see locked.

    Raises:
        StoreError: if the folder refuses.
    """
    token = f"probe-{secrets.token_hex(16)}"
    with as_store_error(root):
        descriptor = write_token(root, token)
    try:
        yield token
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):  # a sweep removes it
            (root / ".work" / token).unlink(missing_ok=True)


def first_line(error: BaseException | None) -> str:
    """An error of Ray's in a line: its messages are pages. None stands for a connection that was lost."""
    if error is None:
        return "its connection to the driver was lost"
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    text = lines[-1] if isinstance(error, RayTaskError) and lines else lines[0] if lines else ""
    return f"{type(error).__name__}: {text.partition('. ')[0][:300]}"
