"""Rows of problem files on this machine, each with its place: JSON Lines, JSON and Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rstar_mini.errors import UserError
from rstar_mini.yaml_text import load_yaml

ENDINGS = (".jsonl", ".json", ".parquet")
_NAMES = ", ".join(ENDINGS)
EXPECTED = "give a JSONL file with 'question' and 'answer' on each line"
_MOST_OF_A_CARD = 10**6  # characters; that of a set with hundreds of configurations has a tenth of it
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
Row = tuple[int, str, dict[str, Any]]
"""Its number, where it stands, and its columns."""


def is_local(source: str) -> bool:
    """Whether a source of problems is a path: what is there, or ends as problem files do, is no name on the Hub."""
    return _ending(Path(source)) in ENDINGS or Path(source).exists()


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a problem file.

    Raises:
        UserError: no such file, another ending, or a broken row, with its place.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; {EXPECTED}")
    if _ending(path) not in ENDINGS:
        raise UserError(f"{path}: a problem file ends in {_NAMES}, and this one in {path.suffix or 'nothing'}")
    if _ending(path) == ".parquet":
        return _parquet(path)
    data = _bytes(path)
    return _lines(path, data) if _ending(path) == ".jsonl" else _json(path, data)


def _ending(path: Path) -> str:
    return path.suffix.lower()


def _bytes(path: Path) -> bytes:
    """The file without a byte order mark."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; {EXPECTED}") from error
    if data.startswith(_UTF_16):
        raise UserError(f"{path}: cannot be read as UTF-8 text (it is UTF-16); save it as UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise UserError(f"{path}: the file is empty; each line needs 'question' and 'answer'")
    return data


def _lines(path: Path, data: bytes) -> Iterator[Row]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            place = f"{path}, line {number}"
            yield number, place, _object(_parsed(line, place), place)


def _json(path: Path, data: bytes) -> Iterator[Row]:
    """A list of rows, on its own or as the only list of an object; or JSON Lines under this ending."""
    first, _, rest = data.strip().partition(b"\n")
    if first.startswith(b"{") and first.rstrip().endswith(b"}") and rest:
        yield from _lines(path, data)
        return
    found = _parsed(data, str(path))
    if isinstance(found, dict):
        lists = [value for value in found.values() if isinstance(value, list)]
        found = lists[0] if len(lists) == 1 else [found]
    for number, row in enumerate(found if isinstance(found, list) else [found], 1):
        place = f"{path}, item {number}"
        yield number, place, _object(row, place)


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        rows: Iterable[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: cannot be read as Parquet ({reason}); get it again") from error
    for number, row in enumerate(rows, 1):
        yield number, f"{path}, row {number}", row


def _parsed(data: bytes, place: str) -> Any:
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise UserError(f"{place}: cannot be read as UTF-8 text ({error.reason} at byte {error.start})") from error
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise UserError(f"{place}: not valid JSON ({error.msg}, {where}); mend or remove the line") from error
    except RecursionError as error:
        raise UserError(f"{place}: the JSON is nested too deep; mend or remove the line") from error
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"{place}: {error}; mend or remove the line") from error


def _object(row: Any, place: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UserError(f'{place}: not a JSON object; write {{"question": ..., "answer": ...}}')
    return row


def check_card(folder: Path) -> None:
    """See that the README of a data set names files of its own folder only; the library would read any.

    Raises:
        UserError: it names others.
    """
    for card in (folder / "README.md", folder / ".huggingface.yaml"):
        for name in _data_files(card) if card.is_file() else ():
            if ":" in name or Path(name).is_absolute() or name.startswith(("~", "\\")) or ".." in Path(name).parts:
                raise UserError(f"{card} names {name}, which is not in its folder; mend it, or give the file")


def _data_files(card: Path) -> Iterator[str]:
    """All paths of the configurations in a data set's card."""
    try:
        about = _about(card)
    except Exception as error:  # of the YAML, or of the text around it
        raise UserError(f"{card}: its metadata cannot be read ({str(error).splitlines()[0]})") from error
    configs = (about or {}).get("configs") if isinstance(about, dict) else None
    for config in configs if isinstance(configs, list) else ():
        for key in ("data_files", "data_dir") if isinstance(config, dict) else ():
            yield from _strings(config.get(key))


def _about(card: Path) -> Any:
    """The YAML of a card, as huggingface_hub finds it, but bounded: the library would follow any number of aliases."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    with card.open(encoding="utf-8-sig") as file:
        text = file.read(_MOST_OF_A_CARD + 1)
    if card.suffix == ".md":
        block = REGEX_YAML_BLOCK.search(text)
        text = block[2] if block else ""
    return load_yaml(text, _MOST_OF_A_CARD)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        # A split may carry a path, or its own name.
        for key, inner in value.items():
            if key != "split":
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
