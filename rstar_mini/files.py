"""Files that appear whole: written aside, flushed to the disk, then renamed."""

from __future__ import annotations

import argparse
import errno
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rstar_mini.errors import UserError

UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
"""What file systems answer that cannot lock a file or bring it to the disk, as some mounted from elsewhere."""

_FULL = ("No space left on device", "inline_container")  # safetensors says the first, PyTorch's writer the second


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all of it or nothing."""
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes its name, and the place of an older one, only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            sync(file.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def sync(descriptor: int) -> None:
    """Bring an open file to the disk. Where the file system cannot, there is nothing better than to go on."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def _sync_folder(folder: Path) -> None:
    """Make a renaming last through a loss of power, where the system lets folders be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring every file below a folder to the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb+") as file:
                sync(file.fileno())
        else:
            _sync_folder(path)
    _sync_folder(folder)


def json_bytes(data: Any) -> bytes:
    """Indented JSON."""
    return (json.dumps(data, indent=1) + "\n").encode()


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON."""
    write_bytes(path, json_bytes(data))


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text())


def jsonl_bytes(rows: Iterable[dict[str, Any]]) -> bytes:
    """One JSON object a line."""
    return b"".join(map(line_bytes, rows))


def line_bytes(row: dict[str, Any]) -> bytes:
    """A JSON object on a line of its own."""
    return (json.dumps(row, separators=(",", ":")) + "\n").encode()


def zipped(data: bytes) -> bytes:
    """Gzipped without a time, so that the same data give the same file."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def sha256(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object a line, gzipped when the name ends in .gz."""
    return list(iterate_jsonl(path))


def iterate_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The same, one by one."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            yield json.loads(line)


@contextmanager
def told_when_full() -> Iterator[None]:
    """Saving a model to a full disk fails in as many ways as there are libraries: all become the system's own error.

    Raises:
        OSError: ENOSPC.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or not any(words in str(error) for words in _FULL):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes its name, and the place of an older one, only when the block ends well."""
    aside = path.with_name(f".{path.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        with told_when_full():
            yield aside
        sync_tree(aside)
        shutil.rmtree(path, ignore_errors=True)
        aside.replace(path)
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def copy_files(source: Path, to: Path) -> None:
    """Copy what is in a folder, not who may write it: the copy of a read-only folder is the user's own."""
    to.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.rglob("*")):
        target = to / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, target)


def check_room(folder: Path, needed: int) -> None:
    """See that `needed` bytes have room in a folder, which need not be there yet.

    Raises:
        UserError: they have not.
    """
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise UserError(f"{folder} has room for {megabytes(free)}, and {megabytes(needed)} are needed; make room there")


def megabytes(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 1e6:,.1f} MB"


def new_folder(text: str) -> Path:
    """An argument of a command line: a folder that is not there yet, or empty.

    Asked before the work begins, so that hours of training do not end at a folder that is in the way.

    Raises:
        argparse.ArgumentTypeError: something is there.
    """
    path = Path(text)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise argparse.ArgumentTypeError(f"'{path}' is there already; move it away, or give another folder")
    return path
