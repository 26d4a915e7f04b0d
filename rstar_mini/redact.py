"""What may be shown of texts that others wrote: no key, no password of a URL, nothing that a terminal would obey."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit

SECRETS = ("OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_HIDDEN = "***"
_SHORTEST = 4  # characters; a part of a URL that is shorter stands in any text
# Also as a path, in which two slashes have become one; there only where somebody's name stands before the host.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://(?:[^\s/?#]*@)?|/[^\s/?#]*@)[^\s'\"<>`]*")


def redact(text: str) -> str:
    """The text as it may be shown to anybody, line by line."""
    return "\n".join(map(printable, without_secrets(text).split("\n")))


def printable(line: str) -> str:
    """The line with every unprintable character replaced, so that it does nothing to a terminal."""
    return "".join(char if char.isprintable() else "·" for char in line)


def without_secrets(text: str) -> str:
    """The text without the keys of this process's environment, and with its URLs as `public_url` shows them."""
    return _URL.sub(_shown, without_keys(text))


def _shown(found: re.Match[str]) -> str:
    """A URL in a sentence, whose punctuation may stand right behind it."""
    url = found[0].rstrip(".,:;)")
    return public_url(re.sub(":/+", "://", url, count=1)) + found[0][len(url) :]


def without_keys(text: str) -> str:
    """The text without the keys of this process's environment; a server may repeat the one that it was sent."""
    keys = {os.environ.get(name, "").strip() for name in SECRETS} - {""}
    for key in sorted(keys, key=len, reverse=True):
        text = text.replace(key, _HIDDEN)
    return text


def without_parts_of(url: str, text: str) -> str:
    """The text without password and query of this URL, in whatever other shape a library repeats them."""
    beside_host = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[0]
    parts = {beside_host, beside_host.partition(":")[2], *re.split(r"[?&=;#]", url.partition("?")[2])}
    parts |= {unquote(part) for part in parts}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST:
            text = text.replace(part, _HIDDEN)
    return text


def public_url(url: str) -> str:
    """A URL without user, password, query and fragment, where secrets stand."""
    scheme, _, rest = url.partition("://")
    host_and_path = re.split(r"[?#]", rest, maxsplit=1)[0]
    host, slash, path = host_and_path.partition("/")
    host = host.rpartition("@")[2]
    try:
        urlsplit(f"{scheme}://{host}").port  # noqa: B018  # raises for a password with a slash, cut in its middle
    except ValueError:
        if "@" in path:
            host, _, path = path.rpartition("@")[2].partition("/")
            slash = "/" if path else ""
        else:  # no port, and perhaps a password whose host was forgotten
            host = f"{host.partition(':')[0]}:{_HIDDEN}"
    return f"{scheme}://{host}{slash}{path}"
