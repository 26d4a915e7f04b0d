"""Who works on a run: one process at a time, also where the folder is shared by machines that do not see each other.

On one machine the system's lock says so at once, and is free as soon as its process has ended, however it ended. A
folder that is mounted from elsewhere (Colab's Drive, NFS) may have no locks, or locks that other machines do not see.
So the owner also writes every `BEAT` seconds that it lives. Clocks of machines differ, so it is never taken for gone by
the time that it wrote: only when this process has watched its sign for `LEASE` seconds and has not seen it change.
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
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

import psutil

from rstar_mini.errors import UserError
from rstar_mini.evolution.records import sign
from rstar_mini.files import UNSUPPORTED, open_own, read_json, write_json

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK, OWNER = "lock", "owner.json"
BEAT, LEASE = 30.0, 300.0  # seconds; a mounted folder takes some time to show what others have written


Sign = dict[str, Any]
"""What an owner writes of itself."""
Say = Callable[[str], None]


class Ownership:
    """The right to write into the run in `folder`; use it in a `with` block.

    `say` is told when it takes a while to see that the last owner has gone.

    Raises:
        UserError: on entering, another live process has it.
    """

    def __init__(self, folder: Path, say: Say = lambda line: None) -> None:
        self.folder, self.path, self.say = folder, folder / OWNER, say
        self.me = myself()
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beats, daemon=True)

    def __enter__(self) -> Self:
        self._file = open_own(self.folder / LOCK, os.O_WRONLY | os.O_APPEND)
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
        if last and not (locked and here(last)):
            see_gone(lambda: owner(self.folder), self.folder, self.say)
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


def myself() -> Sign:
    """What an owner writes of itself, but for when it was last seen."""
    me = {"id": uuid.uuid4().hex, "pid": os.getpid(), "host": socket.gethostname()}
    return me | {"since": datetime.now(UTC).isoformat(timespec="seconds")}


def here(last: Sign) -> bool:
    """Whether an owner was a process of this machine."""
    return bool(last["host"] == socket.gethostname())


def see_gone(look: Callable[[], Sign], place: Path | str, say: Say) -> Sign:
    """Return when the owner whose sign `look` reads has gone; watch it for as long as that takes.

    Returns:
        the sign that it has left, if any.

    Raises:
        UserError: it lives, as far as can be told.
    """
    last = look()
    if not last or (here(last) and not psutil.pid_exists(last["pid"])):
        return last
    if (silent := silence(last)) < LEASE:  # by both clocks: to wait costs no more than the lease
        raise UserError(
            f"{named(last)} worked on {place} {silent:.0f} s ago; wait for it, choose another --run, or, "
            f"when it is gone, give the same command again in {LEASE - silent:.0f} s"
        )
    say(f"{named(last)} has not ended its work on {place}; watching for {LEASE:.0f} s whether it goes on")
    until = time.monotonic() + LEASE
    while time.monotonic() < until:
        time.sleep(min(1.0, LEASE / 20))
        now = look()
        if not now:
            return now
        if now != last:
            raise UserError(f"{named(now)} is working on {place}; wait for it, or choose another --run")
    return last


def taken_over(now: Sign, place: Path | str) -> str:
    """Why a process may write no more into a run, whose owner is another now."""
    return f"{named(now)} has taken over {place}; this process writes nothing more into it"


def owner(folder: Path) -> Sign:
    """What the owner of the run in `folder` has written of itself; empty when there is none, or none to be read."""
    try:
        found: Sign = read_json(folder / OWNER, sign)
    except UserError:
        return {}
    return found


def silence(last: Sign) -> float:
    """Seconds between an owner's sign, by its clock, and now, by ours: either may be ahead."""
    return abs(time.time() - last["seen"]) if last else float("inf")


def lock(file: IO[bytes]) -> bool | None:
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


def named(last: Sign) -> str:
    """An owner in words."""
    return f"process {last.get('pid')} on {last.get('host')}" if last else "another process"
