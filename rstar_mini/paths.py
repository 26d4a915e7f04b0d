"""Where the package finds the files that come with it, and where it keeps what it downloads."""

from __future__ import annotations

import os
from pathlib import Path


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
    """The folder for downloads, `$RSTAR_MINI_CACHE` or `~/.cache/rstar_mini`; it may not exist yet."""
    chosen = os.environ.get("RSTAR_MINI_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "rstar_mini"
