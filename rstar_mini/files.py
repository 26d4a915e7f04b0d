"""Files that appear whole: written aside, flushed to the disk, then renamed. And files that others may have sent.

Nothing here writes through a link, and nothing reads a line or a file without a largest size.
"""

from __future__ import annotations

import argparse
import errno
import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from pydantic import ValidationError

from rstar_mini.errors import UserError

MAX_LINE = 64 * 2**20  # bytes of a JSON text; the largest trees of the paper's budgets take a few megabytes
_MAX_ITEMS = 4 * 10**6  # commas and brackets in it: Python objects take far more memory than their text
_MAX_RATIO = 200  # of unpacked to packed bytes; trees reach 15
_WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, OSError, zlib.error)
_TOO_MUCH = (MemoryError, RecursionError)

UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
"""What file systems answer that cannot lock a file or bring it to the disk, as some mounted from elsewhere."""

_FULL = ("No space left on device", "inline_container")  # safetensors says the first, PyTorch's writer the second


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all of it or nothing."""
    with whole_file(path) as file:
        file.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write into, which takes its name, and the place of an older one, only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    remove(aside)
    try:
        with open_own(aside, os.O_WRONLY | os.O_EXCL) as file:
            yield file
            file.flush()
            sync(file.fileno())
        if path.is_dir():
            raise UserError(f"{path} is a folder, and a file has to stand there; move it away")
        aside.replace(path)
        _sync_folder(path.parent)
    finally:
        remove(aside)


def open_own(path: Path, flags: int) -> IO[bytes]:
    """Open a file to write, made when it is not there; never what a link points to.

    Raises:
        UserError: a link stands there.
    """
    try:
        descriptor = os.open(path, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        if path.is_symlink():
            raise UserError(f"{path} is a link, and nothing is written through links; remove it") from error
        raise
    return os.fdopen(descriptor, "ab" if flags & os.O_APPEND else "wb")


def remove(path: Path) -> None:
    """Remove a file, a folder with all that is in it, or a link itself; what is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def inside(folder: Path, name: str) -> Path:
    """The path of a file below a folder, by the name that others gave it.

    Raises:
        UserError: it would lie elsewhere, on this system or another.
    """
    pure = PurePosixPath(name), PureWindowsPath(name)
    parts = {part for path in pure for part in path.parts}
    odd = not pure[0].parts or ".." in parts or any(path.anchor for path in pure) or not name.isprintable()
    if odd or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise UserError(f"the name {name!r} would lead out of {folder}; nothing is written there")
    return folder / name


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


def read_json(path: Path, convert: Callable[[Any], Any] = lambda data: data) -> Any:
    """Read JSON; `convert` checks it, or makes of it what it stands for.

    Raises:
        UserError: the file is damaged, too large, or not there.
    """
    with damage_named(path), path.open("rb") as file:
        return convert(_parsed(file.read(MAX_LINE + 1)))


def read_jsonl(path: Path, convert: Callable[[Any], Any] = dict) -> list[Any]:
    """Read one JSON object a line, gzipped when the name ends in .gz; `convert` as in `read_json`.

    Raises:
        UserError: as in `read_json`.
    """
    return list(iterate_jsonl(path, convert))


def iterate_jsonl(path: Path, convert: Callable[[Any], Any] = dict) -> Iterator[Any]:
    """The same, one by one."""
    with damage_named(path), gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        most = max(MAX_LINE, _MAX_RATIO * path.stat().st_size)
        while line := file.readline(MAX_LINE + 1):
            if file.tell() > most:
                raise ValueError(f"it unpacks to more than {_MAX_RATIO} times its size")
            yield convert(_parsed(line))


def _parsed(text: bytes) -> Any:
    if len(text) > MAX_LINE:
        raise ValueError(f"more than {megabytes(MAX_LINE)} of JSON in one piece")
    if len(text) > _MAX_ITEMS and sum(map(text.count, (b",", b"[", b"{"))) > _MAX_ITEMS:
        raise ValueError(f"more than {_MAX_ITEMS:,} values in one piece")
    return json.loads(text)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Whatever goes wrong with the content of a file, as one line that names it.

    Raises:
        UserError: instead of all of that.
    """
    try:
        yield
    except (*_WRONG, *_TOO_MUCH) as error:
        raise UserError(f"{path} is damaged: {reason(error)}; {_way_out(path)}") from error


def reason(error: BaseException) -> str:
    """What an error says, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"it has no {error}"[:200]
    return (str(error).splitlines() or [type(error).__name__])[0][:200] or type(error).__name__


def _way_out(path: Path) -> str:
    """What to do about a file: one of a run has a digest."""
    run = next((folder for folder in path.parents if (folder / "digests.jsonl").is_file()), None)
    return f"see what else is, with: rstar-mini verify {run}" if run else "mend or remove it"


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
    remove(aside)
    aside.mkdir(parents=True)
    try:
        with told_when_full():
            yield aside
        sync_tree(aside)
        remove(path)
        aside.replace(path)
        _sync_folder(path.parent)
    finally:
        remove(aside)


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
