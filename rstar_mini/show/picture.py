"""A figure that also says in words what it shows: for screen readers, terminals and diffs."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from matplotlib.figure import Figure

DPI = 110


class Picture(Figure):
    """A matplotlib figure with `words`, which a notebook stores beside the image, and a page as alternative text."""

    words: str = ""

    def png(self) -> bytes:
        """The image, the same to the byte for the same figure."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return buffer.getvalue()

    def bundle(self) -> dict[str, str]:
        """The image and the words by MIME type, as a notebook stores them."""
        return {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.words}

    def html(self, words: str = "") -> str:
        """An <img> that carries its data; `words` in place of the figure's own when these stand beside it already."""
        text = html.escape(words or self.words, quote=True)
        return f'<img style="max-width:100%" alt="{text}" src="data:image/png;base64,{self.bundle()["image/png"]}">'

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """What Jupyter stores and shows."""
        return self.bundle(), {"image/png": {"alt": self.words}}
