"""The one way by which anything is downloaded: into a file beside the target, hashed, then renamed."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path

import torch

DOWNLOAD_TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""
DOWNLOAD_ERRORS = (OSError, RuntimeError, http.client.HTTPException)
"""What :func:`download` raises; RuntimeError is torch's word for a download with another hash."""


def download(url: str, target: Path, sha256: str) -> None:
    """Fetch ``url`` by torch hub's own function, as torch-fidelity does.

    Args:
        target: the path to be; its folder must exist. Nothing stands there unless the whole file has come.
        sha256: of the file, 64 hex digits.

    Raises:
        OSError, RuntimeError, http.client.HTTPException: if it cannot be had or written, or has another hash.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        torch.hub.download_url_to_file(url, str(target), hash_prefix=sha256, progress=False)
    finally:
        socket.setdefaulttimeout(before)
