"""What our widgets share: made of core ipywidgets alone, and with a still picture where widgets do not run."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import ipywidgets

STYLE = "font:14px/1.45 system-ui,sans-serif"
CODE = "font:13px/1.4 ui-monospace,monospace;white-space:pre-wrap;margin:.3em 0;padding:.4em;background:#f4f4f4"


class Still(ipywidgets.VBox):
    """A column of widgets whose output also carries `still()`: what GitHub, nbviewer and PDF show in its place."""

    def still(self) -> Mapping[str, str]:
        """MIME type -> content, `text/plain` among them."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """What Jupyter stores and shows; the words are the alternative text of the picture."""
        shown, still = super()._repr_mimebundle_(**options), self.still()
        return {**shown, **still}, {"image/png": {"alt": still["text/plain"]}}


def code(text: str) -> str:
    """Code or output as HTML."""
    return f'<pre style="{CODE}">{html.escape(text)}</pre>'


def table(rows: Mapping[str, str]) -> str:
    """Names and values, both text, as an HTML table."""
    cells = (
        f'<tr><th scope="row" style="text-align:left;padding-right:1em">{html.escape(name)}</th>'
        f"<td>{html.escape(value)}</td></tr>"
        for name, value in rows.items()
    )
    return f'<table style="{STYLE}">{"".join(cells)}</table>'
