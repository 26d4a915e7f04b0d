"""Whether the files of a run are those that it has written, and what a run that others have sent may not hold."""

from __future__ import annotations

import errno
import os
import stat
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rstar_mini.errors import UserError
from rstar_mini.evolution.ledger import DIGESTS, EVENTS, Ledger
from rstar_mini.evolution.owner import LOCK, OWNER
from rstar_mini.files import reason, sha256

NOT_RECORDED = (LOCK, OWNER, EVENTS, DIGESTS, "report.html")
CHANGED = "not as it was written"
_PASSED_ON = (errno.ENOSPC, errno.EPIPE)  # of the disk and the terminal, which no file of a run is to blame for


def refuse_foreign(folder: Path) -> None:
    """See that everything in a run is a file of its own; before anything is read there, or written.

    Raises:
        UserError: a link leads out of it or to a folder, or something is neither a file nor a folder.
    """
    for name, what in _foreign(folder):
        raise UserError(
            f"{folder / name} is {what}; remove it. See what else is wrong with: rstar-mini verify {folder}"
        )


def verify(folder: Path) -> list[str]:
    """Every file against its recorded digest; returns a line about each that is wrong, whatever the folder holds."""
    foreign = dict(_foreign(folder))
    wrong = dict(foreign)
    for ledger in (DIGESTS, EVENTS):
        place = folder / ledger
        if ledger not in foreign and place.exists() and (damage := Ledger(place).damage()):
            wrong[ledger] = damage
    if DIGESTS in foreign:
        return _lines(wrong)
    try:
        recorded = {row["file"]: row["sha256"] for row in Ledger(folder / DIGESTS).rows()}
    except UserError:
        return _lines(wrong)
    if not recorded:
        return _lines({DIGESTS: "it has no digest of any file"} | wrong)
    found = {file.relative_to(folder).as_posix(): file for file in _files(folder)}
    found = {name: file for name, file in found.items() if name not in foreign}
    lost = {name: _lost(folder / name) for name in recorded if name not in found and name not in wrong}
    for name, file in found.items():
        if name in recorded and (digest := _digest(file)) != recorded[name]:
            wrong[name] = CHANGED if digest else "it cannot be read"
        elif name not in recorded and name not in NOT_RECORDED:
            wrong[name] = "not written by this run"
    return [f"{name}: {what}" for name, what in lost.items()] + _lines(wrong)


def _lines(wrong: dict[str, str]) -> list[str]:
    return [f"{name}: {what}" for name, what in sorted(wrong.items())]


def _lost(file: Path) -> str:
    return "a folder, and not the file that was written" if file.is_dir() else "missing"


def _digest(file: Path) -> str:
    try:
        return sha256(file)
    except OSError:
        return ""


def _files(folder: Path) -> Iterator[Path]:
    """The files that a run consists of; what begins with a dot is being written."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files = (Path(place) / name for name in names if not name.startswith("."))
        yield from (file for file in files if file.is_file())


def _foreign(folder: Path) -> Iterator[tuple[str, str]]:
    """The name of each thing that no run has, and what it is; links are followed for where they lead, no further."""
    whole = os.path.realpath(folder)
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            try:
                kind = path.lstat().st_mode
            except FileNotFoundError:  # of a process that is at work, and has finished it
                continue
            if stat.S_ISLNK(kind) and not _stays(path, whole):
                yield path.relative_to(folder).as_posix(), "a link that leads nowhere, out of the run, or to a folder"
            elif not (stat.S_ISLNK(kind) or stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                yield path.relative_to(folder).as_posix(), "neither a file nor a folder"


def _stays(link: Path, whole: str) -> bool:
    try:
        target = Path(os.path.realpath(link, strict=True))
        return target.is_relative_to(whole) and target.is_file()
    except OSError:  # nothing there, or a ring
        return False


@contextmanager
def damage_explained(folder: Path, place: str | Path, working: bool = False) -> Iterator[None]:
    """What goes wrong while a run is read, as one line that names the file to blame.

    Most damage is found where a file is read. Some shows only where its content is used, in weights above all: so when
    anything fails, all files are compared with their digests. `working` is for a process that writes into the run: its
    own errors stay what they are, unless a file has changed since it was written.

    Raises:
        UserError: instead of every other error.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _PASSED_ON:
            raise
        wrong = [line for line in verify(folder) if not working or line.endswith(CHANGED)]
        if working and not wrong:
            raise
        raise UserError(_explained(place, wrong, error)) from error


def _explained(place: str | Path, wrong: list[str], error: Exception) -> str:
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return f"{place}: {wrong[0]}{more}; see all with: rstar-mini verify {place}"
    at = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{place} holds what cannot be read ({type(error).__name__}: {reason(error)}; {Path(at.filename).name}, line "
        f"{at.lineno}), though `rstar-mini verify {place}` finds its files as they were written: "
        "if rstar-mini wrote them, please tell its makers"
    )
