"""The terminal, for texts that servers, models and strangers' files have a say in."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from rstar_mini.redact import redact


class PlainConsole(Console):
    """Prints text as it is: no markup, no codes that a terminal would obey, and no secret. Also inside tables."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string that is printed, titles and cells included, becomes text here."""
        return super().render_str(redact(text), **options)
