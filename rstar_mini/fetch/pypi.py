"""Wheels of a package index, found and fetched by pip, so that its own settings hold."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from rstar_mini.errors import UserError
from rstar_mini.progress import Progress

TOGETHER = 8  # wheels fetched by one call of pip, which takes a second to start; what is done is kept
HEAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file of the index: "name==version", its address and digest, and its bytes, 0 where the index does not say."""

    requirement: str
    url: str
    sha256: str
    size: int = 0

    def is_in(self, folder: Path) -> bool:
        """True when the file is there with the right digest."""
        path = folder / unquote(urlsplit(self.url).path.rpartition("/")[2])
        return path.is_file() and sha256(path) == self.sha256


def sha256(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve(requirement: str, *options: str) -> list[Wheel]:
    """The wheels that pip would take for this machine; for a folder those that the project in it depends on.

    Raises:
        UserError: no index, or no wheel for this machine.
    """
    flags = ["--quiet", "--dry-run", "--ignore-installed", "--only-binary=:all:", "--report", "-"]
    report = json.loads(pip("install", *flags, *options, requirement))
    wheels = [_wheel(row) for row in report["install"] if "archive_info" in row["download_info"]]
    with ThreadPoolExecutor(16) as pool:
        sizes = pool.map(_size, (wheel.url for wheel in wheels))
    return [replace(wheel, size=size) for wheel, size in zip(wheels, sizes, strict=True)]


def download(wheels: Sequence[Wheel], folder: Path, progress: Progress) -> None:
    """Put the wheels into a folder.

    Raises:
        UserError: pip cannot get one, or it is not the one that was asked for.
    """
    progress.stage("wheels", len(wheels))
    for first in range(0, len(wheels), TOGETHER):
        part = wheels[first : first + TOGETHER]
        flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
        pip("download", *flags, *(wheel.requirement for wheel in part))
        if wrong := [wheel.requirement for wheel in part if not wheel.is_in(folder)]:
            raise UserError(f"{', '.join(wrong)}: not the wheel that the index lists; give the same command again")
        progress.advance(len(part))


def pip(*arguments: str) -> str:
    """Run pip; returns what it prints.

    Raises:
        UserError: it ends with an error; with its reason.
    """
    done = subprocess.run([sys.executable, "-P", "-m", "pip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise UserError(f"pip {arguments[0]} {arguments[-1]}: {reason}; connect, or look at pip's settings")
    return done.stdout


def _wheel(row: dict[str, Any]) -> Wheel:
    about, found = row["metadata"], row["download_info"]
    digest = found["archive_info"].get("hashes", {}).get("sha256", "")
    return Wheel(f"{about['name']}=={about['version']}", found["url"], digest)


def _size(url: str) -> int:
    """Bytes of the file at an address; 0 when its server does not say."""
    try:
        asked = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(asked, timeout=HEAD_SECONDS) as answer:
            return int(answer.headers.get("Content-Length") or 0)
    except (OSError, ValueError):
        return 0
