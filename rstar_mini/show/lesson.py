"""What the notebooks share: two tiers, recorded results, the checks of exercises, and a look at the package's source.

`RSTAR_TIER` says which tier a kernel runs in: `replay` (default) loads the results of long steps from `data/replay/`,
`live` computes them here, and `record`, for those who maintain the notebooks, computes and stores them.
"""

from __future__ import annotations

import gzip
import inspect
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from random import Random
from typing import Any, Protocol

from IPython import get_ipython

from rstar_mini.errors import UserError
from rstar_mini.files import write_bytes
from rstar_mini.paths import data_file

THREADS = "2"  # part of what makes the printed figures the same on every machine
PACKAGES = ("rstar-mini", "torch", "transformers", "trl")


class Tier(StrEnum):
    """Where the results of long steps come from."""

    REPLAY = "replay"
    LIVE = "live"
    RECORD = "record"


class Recordable(Protocol):
    """A type such as `Tree`, `Pair` or `Problem`, which is JSON both ways."""

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        ...

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Any:
        """The inverse of `to_json`."""
        ...


def tier() -> Tier:
    """The tier of this kernel.

    Raises:
        UserError: `RSTAR_TIER` is set to something else.
    """
    asked = os.environ.get("RSTAR_TIER", Tier.REPLAY)
    if asked not in list(Tier):
        raise UserError(f"RSTAR_TIER is '{asked}'; set it to {' or '.join(Tier)}, or leave it out")
    return Tier(asked)


def begin() -> None:
    """The first cell of a notebook: choose the threads, and say the tier and what is installed."""
    os.environ.setdefault("OMP_NUM_THREADS", THREADS)  # read when torch is loaded, so before it
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if tier() is Tier.REPLAY:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    print(f"tier: {tier()}", f"python {platform.python_version()}", *(f"{p} {version(p)}" for p in PACKAGES), sep=" · ")


def banner(text: str) -> None:
    """Print this line above the output of each later cell: a rehearsal must not pass for the real thing."""
    shell = get_ipython()  # type: ignore[no-untyped-call]
    assert shell is not None, "a notebook calls this"
    shell.events.register("pre_run_cell", lambda _: print(text))


def recorded(name: str, compute: Callable[[], Any], of: type[Recordable] | None = None) -> Any:
    """The result of a long step: loaded in the replay tier, computed in the live one, and said so either way.

    Args:
        name: names the file `data/replay/NAME.json.gz`.
        compute: makes the result, which is JSON data, or a list of `of`.
        of: the type of the list's items, such as `Tree`.

    Raises:
        UserError: the file is not there.
    """
    path, where = data_file(f"replay/{name}.json.gz"), f"data/replay/{name}.json.gz"
    if tier() is Tier.REPLAY:
        if not path.exists():
            raise UserError(f"{where} is missing; install the project again, or set RSTAR_TIER=live to compute it")
        kept = json.loads(gzip.decompress(path.read_bytes()))
        print(f"loaded {where}, computed before in {_spent(kept['seconds'])}; to compute it here: RSTAR_TIER=live")
        return [of.from_json(row) for row in kept["value"]] if of else kept["value"]
    start = time.monotonic()
    value = compute()
    seconds = time.monotonic() - start
    print(f"computed here in {_spent(seconds)}; the replay tier loads {where}")
    if tier() is Tier.RECORD:
        rows = [item.to_json() for item in value] if of else value
        text = json.dumps({"seconds": round(seconds), "value": rows}, separators=(",", ":"))
        write_bytes(path, gzip.compress(text.encode(), mtime=0))
    return value if of else json.loads(json.dumps(value))  # so that both tiers see what JSON makes of it


@contextmanager
def checking() -> Iterator[Random]:
    """Run the check of an exercise: whatever is wrong with an answer becomes one sentence.

    Gives random numbers that differ in each run, so that no table of answers can hold what the check asks.

    Raises:
        AssertionError: the answer is wrong, or cannot be checked at all.
    """
    try:
        yield Random()
    except AssertionError as error:
        if not str(error):  # an assert of the answer itself
            raise AssertionError("your answer stopped at an assert of its own; correct it, then check again") from None
        raise
    except NameError as error:
        raise AssertionError(f"'{error.name}' does not exist yet: run the cells above, then check again") from None
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}".strip(": ")
        raise AssertionError(f"your answer cannot be checked ({reason}); correct it, then check again") from None


def source(*things: Any) -> None:
    """Print the source of functions or classes of the package: the notebooks show its code and never retype it."""
    print("\n\n".join(inspect.getsource(thing).rstrip() for thing in things))


def _spent(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
