"""What the commands of the command line share: their common options, and how they print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rstar_mini.offline import go_offline
from rstar_mini.show.console import PlainConsole

DEFAULT_RUN = Path("runs/tiny")
RunArgument = Annotated[Path, typer.Argument(metavar="[RUN]", help="A run directory.")]
RunOrUrl = Annotated[str, typer.Argument(metavar="[RUN]", help="A run directory, or a URL.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, as in search.c=1.5.")
]


def _offline(value: bool) -> None:
    """Before the command, and with it the libraries that look at this, is loaded."""
    if value:
        go_offline()


Offline = Annotated[
    bool, typer.Option("--offline", callback=_offline, help="Never touch the network; see rstar-mini fetch.")
]


def say(text: str) -> None:
    """A line as it is: what models write is neither markup nor escape codes."""
    PlainConsole().print(text, soft_wrap=True)
