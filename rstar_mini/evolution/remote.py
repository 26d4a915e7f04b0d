"""A run in object storage, under any URL that fsspec knows, such as s3://bucket/run or gs://bucket/run.

Its owner works in a folder on its own disk and puts each file there when it is whole; what is there is the run, and a
folder that was left behind is made equal to it. The lock is an object that can be made only where there is none.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Self

import fsspec
from fsspec.implementations.local import LocalFileSystem

from rstar_mini.errors import UserError
from rstar_mini.evolution.integrity import refuse_foreign
from rstar_mini.evolution.ledger import DIGESTS, EVENTS, Ledger
from rstar_mini.evolution.owner import BEAT, LOCK, OWNER, Say, Sign, myself, named, see_gone, taken_over
from rstar_mini.evolution.records import sign
from rstar_mini.files import inside, json_bytes, reason, remove, sha256
from rstar_mini.offline import check_address
from rstar_mini.paths import cache_dir
from rstar_mini.redact import redact, without_parts_of

LARGE = (".gz", ".safetensors")
MOST_OF_A_SIGN = 10_000  # bytes


def is_url(place: str | Path | None) -> bool:
    """Whether a run is named by a URL, and not by a folder."""
    return "://" in str(place)


def fetched(url: str, light: bool = False) -> Path:
    """A folder with the run that is under a URL, to look on; `light` leaves out trees and weights.

    Raises:
        UserError: nothing can be read there.
    """
    remote = Remote(url, reading=True)
    with remote.told():
        remote.fetch(light)
    return remote.folder


class Remote:
    """The run at a URL, and `folder`, where its files are on this disk.

    In a `with` block it is owned: the folder is made equal to what is there, and `put` keeps it so. Its ledgers, to
    which every step adds a line, follow every `BEAT` seconds and at the end; a file that they do not tell of when the
    owner is lost is made again.

    Args:
        reading: to look on; in a folder of its own, beside that of an owner on the same machine.
        say: is told when it takes a while to see that the last owner has gone.

    Raises:
        UserError: nothing can be read under this URL. On entering: another live process owns the run.
    """

    def __init__(self, url: str, reading: bool = False, say: Say = lambda line: None) -> None:
        if not url.startswith(("file://", "memory://")):
            check_address(url)
        self.url, self.reading, self.say, self._ended = redact(url), reading, say, threading.Event()
        self._clean = partial(without_parts_of, url)
        name = blake2b(url.rstrip("/").encode(), digest_size=8).hexdigest()
        self.folder = cache_dir() / "runs" / (f"{name}-read" if reading else name)
        self.me = myself()
        with self.told():
            self._files, self._root = fsspec.url_to_fs(url.rstrip("/"))
            self._files.exists(self._root)

    def __enter__(self) -> Self:
        with self.told():
            self._take()
            try:
                self.fetch()
            except BaseException:
                self._leave()
                raise
        self._heart = threading.Thread(target=self._beats, daemon=True)
        self._heart.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._heart.join()
        with self.told():
            if self._owner().get("id") == self.me["id"]:
                self._put_ledgers()
            self._leave()

    def put(self, path: Path) -> None:
        """A file of the folder, as it is now.

        Raises:
            UserError: another process has taken the run, or it cannot be written.
        """
        with self.told():
            self._check()
            self._files.put_file(str(path), self._at(path.relative_to(self.folder).as_posix()))

    def fetch(self, light: bool = False) -> None:
        """Make the folder equal to what is there; `light` leaves out trees and weights."""
        refuse_foreign(self.folder)  # an earlier copy is written over
        there = self._listed()
        ledgers = [EVENTS, DIGESTS, *([OWNER] if self.reading else [])]  # an owner has a lock of its own in the folder
        for name in ledgers:
            remove(self.folder / name)
            if name in there:
                self._get(name)
        recorded = {row["file"]: row["sha256"] for row in Ledger(self.folder / DIGESTS).rows()}
        files = (there & recorded.keys()) - {*ledgers, LOCK, OWNER}
        for name in sorted(files):
            path = inside(self.folder, name)
            if not (light and path.suffix in LARGE) and not (path.is_file() and sha256(path) == recorded[name]):
                self._get(name)
        kept = {*files, *ledgers, LOCK, OWNER}
        for path in [*self.folder.rglob("*")]:
            place = path.relative_to(self.folder)
            hidden = any(part.startswith(".") for part in place.parts)  # checkpoints, which are not kept there
            if path.is_file() and not hidden and place.as_posix() not in kept:
                path.unlink()

    def _listed(self) -> set[str]:
        """The names of what is there, below the run; others have made them, so each is checked.

        Raises:
            UserError: one of them would lead out of the folder.
        """
        self._files.invalidate_cache()
        innermost = self._files
        while hasattr(innermost, "fs"):  # of one that caches, or shows a part of another
            innermost = innermost.fs
        if isinstance(innermost, LocalFileSystem):  # the only one that would follow links of this machine
            refuse_foreign(Path(self._root))
        names = [name.removeprefix(self._root).removeprefix("/") for name in self._files.find(self._root)]
        for name in filter(None, names):
            inside(self.folder, name)
        return set(names)

    def _get(self, name: str) -> None:
        path = inside(self.folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files.get_file(self._at(name), str(path))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _take(self) -> None:
        last = see_gone(self._last, self.url, self.say)
        try:
            if last:  # of several that see it gone, only one may take its lock away
                self._files.pipe_file(self._at(_after(last)), self._sign(), mode="create")
                self._files.rm_file(self._at(OWNER))
            self._files.pipe_file(self._at(OWNER), self._sign(), mode="create")
        except FileExistsError as error:
            raise UserError(f"{named(self._owner())} has just begun to work on {self.url}; wait for it") from error

    def _last(self) -> Sign:
        """The last owner's sign, or that of who took the run over from it and may have died before it was there."""
        last, seen = self._owner(), set[str]()
        while last and last["id"] not in seen and (taker := self._read(_after(last))):
            seen.add(last["id"])
            last = taker
        return last

    def _leave(self) -> None:
        if self._owner().get("id") == self.me["id"]:
            self._files.rm_file(self._at(OWNER))

    def _sign(self) -> bytes:
        return json_bytes(self.me | {"seen": time.time()})

    def _owner(self) -> Sign:
        return self._read(OWNER)

    def _read(self, name: str) -> Sign:
        try:
            self._files.invalidate_cache()
            found = self._files.cat_file(self._at(name), end=MOST_OF_A_SIGN)
            return sign(json.loads(found))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}

    def _check(self) -> None:
        now = self._owner()
        if now.get("id") != self.me["id"]:
            raise UserError(taken_over(now, self.url))

    def _beats(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(Exception):  # the next one may get through; `put` tells of others
                self._check()
                self._files.pipe_file(self._at(OWNER), self._sign())
                self._put_ledgers()

    def _put_ledgers(self) -> None:
        for name in (DIGESTS, EVENTS):
            if (self.folder / name).exists():
                self._files.put_file(str(self.folder / name), self._at(name))

    @contextmanager
    def told(self) -> Iterator[None]:
        """Storages fail in as many ways as there are libraries for them."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{self.url}: {self._clean(reason(error))}") from error


def _after(last: Sign) -> str:
    """The object of who takes a run over from an owner that has gone."""
    return f"after-{last['id']}.json"
