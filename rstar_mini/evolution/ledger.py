"""Append-only JSONL files that survive being cut off: a torn last line is found, cut away and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rstar_mini.files import sync

EVENTS, DIGESTS = "events.jsonl", "digests.jsonl"  # the two of a run


class Ledger:
    """One row a line; each is on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: dict[str, Any]) -> None:
        """Add a row at the end."""
        with self.path.open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            sync(file.fileno())

    def rows(self) -> list[dict[str, Any]]:
        """All whole rows."""
        return [json.loads(line) for line in self._data().splitlines(keepends=True) if line.endswith(b"\n")]

    def repair(self) -> str | None:
        """Cut a last line off that was never finished; returns a line about it, or None when all is well."""
        data = self._data()
        whole = data[: data.rfind(b"\n") + 1]
        if whole == data:
            return None
        with self.path.open("r+b") as file:
            file.truncate(len(whole))
        return f"{self.path.name}: the last line was torn ({len(data) - len(whole)} bytes) and has been cut off"

    def _data(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""
