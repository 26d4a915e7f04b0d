"""Replies of a server that may be of any kind: what is read of them is bounded in size, and checked for its shape."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from rstar_mini.code_cot import STOPS
from rstar_mini.redact import without_keys

_TAIL = max(map(len, STOPS)) - 1  # characters in which a closing tag may have begun
_NOT_THIS_API = "it does not speak OpenAI's completions API"
MOST_OF_A_REFUSAL = 64 * 1024  # bytes of a reply that is no stream


class BadReply(Exception):
    """A reply that another try would not make better."""


class Bounds(NamedTuple):
    """What a reply of so many tokens can take at most."""

    tokens: int

    @property
    def line(self) -> int:
        """Bytes of one event, and characters of the whole text: a token has some four, six times that if escaped."""
        return 64 * 1024 + 64 * self.tokens

    @property
    def whole(self) -> int:
        """Bytes of all events; each repeats the names of the model and the request."""
        return 1024 * 1024 + 2048 * self.tokens

    @property
    def events(self) -> int:
        """Events with new text: one a token, as a rule."""
        return 64 + 2 * self.tokens


class GrowingText:
    """The text of a reply, piece by piece; a closing tag is found without reading all of it again."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds, self.closed = bounds, False
        self._pieces: list[str] = []
        self._size, self._tail = 0, ""

    def add(self, piece: str) -> None:
        """What has come."""
        seen = self._tail + piece
        self.closed = self.closed or any(tag in seen for tag in STOPS)
        self._tail = seen[-_TAIL:]
        self._size += len(piece)
        self._pieces.append(piece)

    @property
    def full(self) -> bool:
        """More than was asked for has come."""
        return len(self._pieces) > self.bounds.events or self._size > self.bounds.line

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)


async def event_data(response: httpx.Response, bounds: Bounds) -> AsyncIterator[str]:
    """The data of each server-sent event, as it comes.

    Raises:
        BadReply: it is compressed, which nobody asked for, or a line or the whole is too long.
    """
    if encoding := _encoding(response):
        raise BadReply(f"it sends its reply in the encoding '{encoding}', which was not asked for")
    buffer, total = bytearray(), 0
    async for chunk in response.aiter_raw():
        total += len(chunk)
        start = len(buffer)
        buffer += chunk
        while (end := buffer.find(b"\n", start)) >= 0:
            line = bytes(buffer[:end]).decode("utf-8", "replace").strip()
            del buffer[: end + 1]
            start = 0
            if line.startswith("data:"):
                yield line.removeprefix("data:").strip()
        if len(buffer) > bounds.line or total > bounds.whole:
            raise BadReply(f"it sends more than a reply of {bounds.tokens} tokens can have")


def choices(data: str) -> list[dict[str, Any]] | str:
    """The choices in an event, or the server's own words about an error.

    Raises:
        BadReply: it is no event of this API.
    """
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        event = None
    if isinstance(event, dict) and "error" in event:
        return message(event)
    found = event.get("choices") if isinstance(event, dict) else None
    if not isinstance(found, list) or not all(isinstance(choice, dict) for choice in found):
        raise BadReply(f"{_NOT_THIS_API}: it sent {data[:80]!r}")
    return found


def text_of(choice: dict[str, Any], *keys: str) -> str:
    """The new text in a choice, found below these keys; "" when there is none.

    Raises:
        BadReply: something else stands there.
    """
    found: Any = choice
    for key in keys:
        if found is not None and not isinstance(found, dict):
            raise BadReply(f"{_NOT_THIS_API}: it sent {str(choice)[:80]!r}")
        found = None if found is None else found.get(key)
    if found is not None and not isinstance(found, str):
        raise BadReply(f"{_NOT_THIS_API}: its text is {str(found)[:80]!r}")
    return found or ""


async def refusal(response: httpx.Response, seconds: float) -> str:
    """The server's own words in a reply that is no stream, or their beginning; "" when they cannot be read in time."""
    data = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for chunk in response.aiter_raw():
                data += chunk[:MOST_OF_A_REFUSAL]
                if len(data) > MOST_OF_A_REFUSAL:
                    break
    text = "" if _encoding(response) else data.decode("utf-8", "replace")
    try:
        return message(json.loads(text))
    except (ValueError, RecursionError):
        return text


def message(reply: Any) -> str:
    """The server's own words, wherever it puts them."""
    for _ in range(10):
        if not isinstance(reply, dict):
            break
        reply = next((reply[name] for name in ("error", "message", "detail") if name in reply), str(reply))
    return str(reply)


def in_one_line(words: str) -> str:
    """A server's words, shortened; a key that it repeats goes first, so that no part of it stays."""
    return " ".join(without_keys(words).split())[:300]


def well_formed(text: str) -> str:
    """The text with halves of a character joined, or replaced where the other half is missing."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _encoding(response: httpx.Response) -> str:
    """How a reply is compressed: it should not be, so that no small one becomes a large one here."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return "" if encoding == "identity" else encoding


def in_words(error: httpx.TransportError, patience: float) -> str:
    """What went wrong with a connection."""
    if isinstance(error, httpx.TimeoutException):
        return f"no word from the server for {patience:g} s"
    if isinstance(error, httpx.ConnectError):
        return f"no connection ({error})"
    return f"the connection broke ({str(error) or type(error).__name__})"


def asked_pause(header: str) -> float:
    """Retry-After in seconds; it is a number or a date."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):  # none, or one that cannot be read
            return 0.0
    return 0.0 if math.isnan(seconds) else max(0.0, seconds)
