"""Who works on a run: one process at a time, also where the folder is shared by machines that do not see each other.

On one machine the system's lock says so at once, and is free as soon as its process has ended, however it ended. A
folder that is mounted from elsewhere (Colab's Drive, NFS) may have no locks, or locks that other machines do not see.
So the owner also writes every `BEAT` seconds that it lives; after `LEASE` seconds of silence it is taken for gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Self

import psutil

from rstar_mini.errors import UserError
from rstar_mini.files import UNSUPPORTED, read_json, write_json

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK, OWNER = "lock", "owner.json"
BEAT, LEASE = 30.0, 300.0  # seconds; a mounted folder takes some time to show what others have written


class Ownership:
    """The right to write into the run in `folder`; use it in a `with` block.

    Raises:
        UserError: on entering, another live process has it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / OWNER
        self.me = myself()
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beats, daemon=True)

    def __enter__(self) -> Self:
        self._file = (self.folder / LOCK).open("ab")
        try:
            self._take()
        except BaseException:
            self._file.close()
            raise
        self._heart.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._heart.join()
        if owner(self.folder).get("id") == self.me["id"]:
            self.path.unlink(missing_ok=True)
        self._file.close()  # and with it the system's lock

    def _take(self) -> None:
        locked = lock(self._file)
        last = owner(self.folder)
        if locked is False:
            raise UserError(f"{named(last)} is working on {self.folder}; wait for it, or choose another --run")
        silent = silence(last)
        here = last.get("host") == self.me["host"]
        gone = here and (locked or not psutil.pid_exists(last["pid"]))
        if silent < LEASE and not gone:
            raise UserError(still_owned(last, self.folder))
        self._beat()

    def _beats(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError, UserError):  # the next one may get through; `check` tells of others
                self.check()
                self._beat()

    def _beat(self) -> None:
        write_json(self.path, self.me | {"seen": time.time()})

    def check(self) -> None:
        """See that the run is still ours, before something is written.

        Raises:
            UserError: a process on another machine has taken it, because this one was silent for too long.
        """
        now = owner(self.folder)
        if now and now.get("id") != self.me["id"]:
            raise UserError(taken_over(now, self.folder))


def myself() -> dict[str, Any]:
    """What an owner writes of itself, but for when it was last seen."""
    me = {"id": uuid.uuid4().hex, "pid": os.getpid(), "host": socket.gethostname()}
    return me | {"since": datetime.now(UTC).isoformat(timespec="seconds")}


def still_owned(last: dict[str, Any], place: Path | str) -> str:
    """Why a run cannot be taken from its last owner."""
    silent = silence(last)
    return (
        f"{named(last)} worked on {place} {silent:.0f} s ago; wait for it, choose another --run, or, "
        f"when it is gone, give the same command again in {LEASE - silent:.0f} s"
    )


def taken_over(now: dict[str, Any], place: Path | str) -> str:
    """Why a process may write no more into a run, whose owner is another now."""
    return f"{named(now)} has taken over {place}; this process writes nothing more into it"


def owner(folder: Path) -> dict[str, Any]:
    """What the owner of the run in `folder` has written of itself; empty when there is none."""
    try:
        found = read_json(folder / OWNER)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def silence(last: dict[str, Any]) -> float:
    """Seconds since an owner has given a sign of life."""
    return max(0.0, time.time() - last.get("seen", 0.0))


def lock(file: BinaryIO) -> bool | None:
    """Take the system's lock of an open file; False when another process has it, None when there are no locks."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def named(last: dict[str, Any]) -> str:
    """An owner in words."""
    return f"process {last.get('pid')} on {last.get('host')}" if last else "another process"
