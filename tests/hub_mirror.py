"""A few endpoints of the Hugging Face Hub on this machine, from folders: what `huggingface_hub` asks to find and fetch.

Repositories, trees and files are answered as the Hub answers them (addresses, headers, digests, refusals); large files
come without a detour over another host.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".parquet")
_INFO = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(/revision/[^/]+)?$")
_TREE = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/[^/]+$")
_FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)$")


class Mirror(ThreadingHTTPServer):
    """Serves `folder/models/ORG/NAME` and `folder/datasets/ORG/NAME`; those in `gated` show their names only.

    `asked` holds the requests; a file in `torn` breaks off in the middle, once.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.gated = folder, set[str]()
        self.asked: list[str] = []
        self.torn: set[str] = set()
        self.address = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Mirror:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def fetched(self) -> list[str]:
        """The files that were fetched since the last call."""
        names = [line.rsplit("/", 1)[1] for line in self.asked if line.startswith("GET") and "/resolve/" in line]
        self.asked.clear()
        return sorted(names)


class _Handler(BaseHTTPRequestHandler):
    server: Mirror
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_HEAD(self) -> None:  # noqa: N802
        self.do_GET()

    def do_GET(self) -> None:  # noqa: N802
        path = self.path.partition("?")[0]
        self.server.asked.append(f"{self.command} {path}")
        if found := _INFO.match(path):
            self._json(self._repo(found[1], found[2]), {"id": found[2], "sha": COMMIT, "private": False})
        elif found := _TREE.match(path):
            folder = self._repo(found[1], found[2])
            self._json(folder, [_entry(folder, file) for file in _files(folder)] if folder else [])
        elif found := _FILE.match(path):
            self._file(self._repo("datasets" if found[1] else "models", found[2]), found[2], found[3])
        else:
            self._refuse(404, "EntryNotFound", "Entry not found")

    def _repo(self, kind: str, name: str) -> Path | None:
        folder = self.server.folder / kind / name
        return folder if folder.is_dir() else None

    def _json(self, folder: Path | None, data: Any) -> None:
        if folder is None:  # without a login the Hub does not say whether a repository is private or not there
            self._refuse(401, "RepoNotFound", "Repository not found")
        else:
            self._answer(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _file(self, folder: Path | None, repo: str, name: str) -> None:
        if folder is None:
            self._refuse(401, "RepoNotFound", "Repository not found")
        elif repo in self.server.gated:
            self._refuse(
                403, "GatedRepo", f"Access to model {repo} is restricted and you are not in the authorized list."
            )
        elif not (folder / name).is_file():
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            data = (folder / name).read_bytes()
            headers = {"ETag": f'"{_git_digest(data)}"', "X-Repo-Commit": COMMIT}
            if name.endswith(LARGE):
                headers["X-Linked-Etag"] = f'"{hashlib.sha256(data).hexdigest()}"'
                headers["X-Linked-Size"] = str(len(data))
            self._answer(200, data, headers, name)

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self._answer(status, json.dumps({"error": message}).encode(), headers)

    def _answer(self, status: int, data: bytes, headers: dict[str, str], name: str = "") -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET" and name in self.server.torn:
            self.server.torn.remove(name)
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(data)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _entry(folder: Path, file: Path) -> dict[str, Any]:
    """A file as the tree of a repository lists it."""
    data = file.read_bytes()
    entry = {"type": "file", "path": file.relative_to(folder).as_posix(), "size": len(data), "oid": _git_digest(data)}
    if file.name.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry


def _git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def write_cache(folder: Path, kind: str, name: str, source: Path) -> None:
    """The files of `source` as the Hub's client keeps a repository: refs, blobs, and snapshots that lead to them."""
    repo = folder / f"{kind}s--{name.replace('/', '--')}"
    for part in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (repo / part).mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for file in _files(source):
        data = file.read_bytes()
        blob = repo / "blobs" / (hashlib.sha256(data).hexdigest() if file.name.endswith(LARGE) else _git_digest(data))
        blob.write_bytes(data)
        link = repo / "snapshots" / COMMIT / file.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        if os.name == "nt":  # where links need rights that most users do not have, and the client moves the file
            blob.rename(link)
        else:
            link.symlink_to(Path("../" * (len(link.relative_to(repo).parts) - 1)) / "blobs" / blob.name)
