"""A figure that also says in words what it shows: for screen readers, terminals and diffs."""

from __future__ import annotations

import base64
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

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """What Jupyter stores and shows."""
        data = {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.words}
        return data, {"image/png": {"alt": self.words}}
