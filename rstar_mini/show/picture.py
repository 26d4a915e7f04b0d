"""A figure that also says in words what it shows: for screen readers, terminals and diffs."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from matplotlib.figure import Figure

from rstar_mini.errors import UserError

DPI = 110
# JupyterLab leaves 900 pixels for an output on a screen of 1366, with its file browser open, and shrinks what is wider.
WIDEST = 8.0  # inches, 880 pixels
SMALL = 7.5  # points, 11.5 pixels: no label is smaller


class Picture(Figure):
    """A matplotlib figure with `words`: a notebook stores them beside the image, and a page as alternative text.

    A figure without words is not shown: whoever cannot see it would get nothing.
    """

    words: str = ""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **{"dpi": DPI} | settings)

    def png(self) -> bytes:
        """The image, the same to the byte for the same figure."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return buffer.getvalue()

    def bundle(self) -> dict[str, str]:
        """The image and the words by MIME type, as a notebook stores them.

        Raises:
            UserError: the figure has no words.
        """
        if not self.words.strip():
            raise UserError("this figure has no text alternative: set its `words` to what it shows, then show it again")
        return {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.words}

    def html(self, words: str = "") -> str:
        """An <img> that carries its data; `words` in place of the figure's own when these stand beside it already.

        Raises:
            UserError: the figure has no words.
        """
        return _img(self.bundle()["image/png"], words or self.words)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """What Jupyter shows: JupyterLab gives no alternative to an image of its own, so it gets the <img>."""
        shown, alt = with_alt(self.bundle())
        return shown | {"text/html": _img(shown["image/png"], self.words)}, alt


def with_alt(bundle: dict[str, str]) -> tuple[dict[str, str], dict[str, Any]]:
    """What a notebook stores of an image and its words: the words are the image's text alternative too."""
    alt = {"image/png": {"alt": bundle["text/plain"]}} if "image/png" in bundle else {}
    return bundle, alt


def _img(data: str, words: str) -> str:
    text = html.escape(words, quote=True)
    return f'<img style="max-width:100%" alt="{text}" src="data:image/png;base64,{data}">'
