"""`--offline`: nothing of this process, or of those that it starts, uses the network."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import httpx

from rstar_mini.errors import UserError

LOCAL = ("localhost", "127.0.0.1", "::1")
_OFFLINE = "RSTAR_MINI_OFFLINE"
_SWITCHES = (_OFFLINE, "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK")


def go_offline() -> None:
    """Say so to all libraries; they read it when they are imported, so it comes first."""
    os.environ.update(dict.fromkeys(_SWITCHES, "1"))


def check_url(url: str) -> None:
    """See that a server's address is one.

    Raises:
        UserError: it names no host, or no port where one should stand.
    """
    try:
        address = httpx.URL(url)
        known = bool(address.host) and (address.port or 1) in range(1, 2**16)
    except httpx.InvalidURL:
        known = False
    if not known:
        raise UserError(f"{url} is no address of a server; it should look like http://localhost:8000/v1")


def check_address(url: str) -> None:
    """See that a server may be asked.

    Raises:
        UserError: it is on another machine, and `go_offline` was called.
    """
    if os.environ.get(_OFFLINE) and urlsplit(url).hostname not in LOCAL:
        raise UserError(f"--offline: {url} is on another machine; leave out --offline, or give a server on this one")
