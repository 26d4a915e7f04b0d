"""Sliding windows: layers that see the last tokens of a text only, as in Phi-3, Mistral and Qwen2."""

from __future__ import annotations

from torch import Tensor
from transformers import PreTrainedConfig

FULL, SLIDING = "full_attention", "sliding_attention"


def windowed(config: PreTrainedConfig, sees: Tensor, at: Tensor) -> Tensor | dict[str, Tensor]:
    """What to give a model as `attention_mask`, so that its layers with a window keep to it.

    The library makes windows itself for plain texts, and takes a mask of one's own as it is.

    Args:
        sees: [texts, 1, tokens, tokens], which tokens each may attend to where there is no window.
        at: [texts, tokens], positions in the text.

    Returns:
        one mask, or one for each kind of layer.
    """
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ([SLIDING] if window else [FULL]))
    if not window or SLIDING not in kinds:
        return sees
    near = sees & (at[:, None, :, None] - at[:, None, None, :] < window)
    return near if kinds == {SLIDING} else {FULL: sees, SLIDING: near}
