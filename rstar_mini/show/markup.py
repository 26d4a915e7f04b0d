"""Pieces of HTML for notebooks, legible on the light and on the dark theme of any notebook program."""

from __future__ import annotations

import html
from collections.abc import Mapping

STYLE = "font:14px/1.45 system-ui,sans-serif"
# Translucent grey on the page's colour, and the page's ink.
CODE = "font:13px/1.4 ui-monospace,monospace;white-space:pre-wrap;margin:.3em 0;padding:.4em;background:#8882"


def code(text: str) -> str:
    """Code or output."""
    return f'<pre style="{CODE}">{html.escape(text)}</pre>'


def facts_table(rows: Mapping[str, str]) -> str:
    """Names and values, both text."""
    cells = (
        f'<tr><th scope="row" style="text-align:left;padding-right:1em">{html.escape(name)}</th>'
        f"<td>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f'<table style="{STYLE}">{"".join(cells)}</table>'
