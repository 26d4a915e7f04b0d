"""Where the package finds the files that come with it, and where it keeps what it downloads."""

from __future__ import annotations

import os
from pathlib import Path

from rstar_mini.errors import UserError


def data_file(name: str) -> Path:
    """A file or folder of the project's data."""
    return _beside("data") / name


def notebooks_dir() -> Path:
    """The folder of the notebooks."""
    return _beside("notebooks")


def _beside(name: str) -> Path:
    """A folder inside an installed package, or beside it in a source checkout."""
    package = Path(__file__).resolve().parent
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


def cache_dir() -> Path:
    """The folder for downloads, `$RSTAR_MINI_CACHE` or `~/.cache/rstar_mini`; it may not exist yet.

    Raises:
        UserError: there is neither.
    """
    chosen = os.environ.get("RSTAR_MINI_CACHE")
    return Path(chosen) if chosen else home("RSTAR_MINI_CACHE") / ".cache" / "rstar_mini"


def home(instead: str) -> Path:
    """The user's home folder; `instead` names the variable that does without it.

    Raises:
        UserError: nobody knows where it is, as for a user without a name in a container.
    """
    try:
        return Path.home()
    except RuntimeError as error:
        raise UserError(f"this user has no home folder; set HOME, or {instead} to a folder for downloads") from error
