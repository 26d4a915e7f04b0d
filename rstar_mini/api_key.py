"""The key of a model service, from the environment variable OPENAI_API_KEY, and to whom it may go.

A recipe can come from anybody, and so can the address in it. So the key goes to a server that a recipe names only when
the user has named the same host too: on the command line, or as OPENAI_BASE_URL. And it never crosses the network in
plain http.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import httpx

from rstar_mini.errors import UserError
from rstar_mini.offline import LOCAL

KEY, BASE_URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_NAMED = "RSTAR_MINI_KEY_HOSTS"  # hosts named on the command line; processes that this one starts know them too


class Key(NamedTuple):
    """What is sent to a server, "" for nothing, and what to do when it does not let us in."""

    value: str
    advice: str


def name_host(url: str) -> None:
    """The user has named this server on the command line."""
    os.environ[_NAMED] = f"{os.environ.get(_NAMED, '')} {_host(url)}".strip()


def key_of_named(url: str) -> Key:
    """For a server that the user has named.

    Raises:
        UserError: the key holds what no key has.
    """
    key = os.environ.get(KEY, "").strip()
    if not key:
        return Key("", f"the environment variable {KEY}, which is not set")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(f"the environment variable {KEY} holds blanks or characters that no key has; set it anew")
    address = httpx.URL(url)
    if address.scheme != "https" and address.host not in LOCAL:
        return Key("", f"the address to https: {KEY} is not sent to another machine in plain http")
    return Key(key, f"the environment variable {KEY}")


def key_of_recipe(url: str) -> Key:
    """For a server that a recipe names: nothing, unless the user has named its host as well."""
    named = {*os.environ.get(_NAMED, "").split(), _host(os.environ.get(BASE_URL, ""))}
    if _host(url) in named - {""}:
        return key_of_named(url)
    return Key("", f"who may have {KEY}: name the server yourself, with --set policy.url=URL or as {BASE_URL}")


def _host(url: str) -> str:
    """Host and port, as the client reads them that will ask there; "" for what is no address."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return ""
    return f"{address.host}:{address.port or (443 if address.scheme == 'https' else 80)}" if address.host else ""
