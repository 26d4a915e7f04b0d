"""What our widgets share: made of core ipywidgets alone, and with a still picture where widgets do not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets

from rstar_mini.show.picture import with_alt


class Still(ipywidgets.VBox):
    """A column of widgets whose output also carries `still()`: what GitHub, nbviewer and PDF show in its place."""

    def still(self) -> Mapping[str, str]:
        """MIME type -> content, `text/plain` among them."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        shown, alt = with_alt(dict(self.still()))
        return {**super()._repr_mimebundle_(**options), **shown}, alt
