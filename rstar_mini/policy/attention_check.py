"""A base is compared once with its own library before it is searched: the same hidden states, or no search.

Search computes attention in its own way, over trees, and models differ in what they ask of attention. What is not
honoured here would give other numbers without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging

from rstar_mini.bases import last_position, refused
from rstar_mini.errors import UserError
from rstar_mini.policy.rows import Rows, kv_shape
from rstar_mini.policy.tree_attention import NAME, feed_rows
from rstar_mini.policy.windows import windowed

TOKENS, FEW_TOKENS, WINDOW = 200, 64, 16
_NOISE, _ROUNDINGS = 8, 8  # times the difference of the library's own two attentions, and of one rounding step
_FEW = {"vocab_size": 256, "intermediate_size": 64}  # sizes of the small copy; they have no part in attention
_checked: set[str] = set()


def check_attention(model: PreTrainedModel, name: str, ids: Sequence[int]) -> None:
    """See that search and PPM training compute what the library computes.

    Compared are the model on the tokens `ids`, and, where it has windows, a copy of few layers with small windows:
    a short text shows nothing of large ones.

    Raises:
        UserError: they do not, or the model reads later tokens too, as encoders do.
    """
    kind = f"{name} {type(model)} {model.dtype} {model.config.to_json_string(use_diff=False)}"
    if kind in _checked:
        return
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # a model that cannot change its attention warns of it, and is refused anyway
    try:
        _compare(model, torch.tensor(ids[: min(TOKENS, last_position(model.config) or TOKENS)]))
        if getattr(model.config, "sliding_window", None):
            small = _small(model)
            _compare(small, torch.tensor(ids[:FEW_TOKENS]) % _FEW["vocab_size"])
    except UserError as error:
        raise refused(name, f"{error} ({type(model).__name__})") from error
    finally:
        logging.set_verbosity(verbosity)
    _checked.add(kind)


def _small(model: PreTrainedModel) -> PreTrainedModel:
    """The same class and configuration with few layers, one of each kind at least, and windows of `WINDOW`."""
    config = deepcopy(model.config)
    kinds = list(dict.fromkeys(getattr(config, "layer_types", None) or ()))
    changes: dict[str, Any] = {"num_hidden_layers": 2 * max(1, len(kinds)), "sliding_window": WINDOW}
    changes |= {"layer_types": 2 * kinds} if kinds else {}
    changes |= {"pad_token_id": None, "bos_token_id": None, "eos_token_id": None, "quantization_config": None}
    changes |= {key: size for key, size in _FEW.items() if isinstance(getattr(config, key, None), int)}
    for key, value in changes.items():
        if hasattr(config, key):
            setattr(config, key, value)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return type(model)._from_config(config, dtype=torch.float32).eval()


@torch.inference_mode()
def _compare(model: PreTrainedModel, ids: Tensor) -> None:
    """Raises UserError when the hidden states of search or of PPM training are not the library's."""
    decoder, before = model.get_decoder(), model.config._attn_implementation
    ids = ids.to(decoder.device)
    try:
        own = _tried(partial(_own, decoder, ids, "eager"), "a plain text")
        if not own.isfinite().all():
            raise UserError("its hidden states are not numbers: its weights are damaged, or its precision is too low")
        noise = _distance(_own(decoder, ids, "sdpa"), own) if decoder._supports_sdpa else 0.0
        allowed = _NOISE * noise + _ROUNDINGS * torch.finfo(decoder.dtype).eps
        half = len(ids) // 2
        if _distance(_own(decoder, ids[:half], "eager"), own[:half]) > allowed:
            raise UserError("what it computes for a token hangs on later tokens, as in an encoder")
        ways: dict[str, Callable[[], Tensor]] = {
            "search": partial(_searched, decoder, ids),
            "PPM training": partial(_paired, decoder, ids),
        }
        for what, way in ways.items():
            if not (far := _distance(_tried(way, what), own)) <= allowed:
                raise UserError(
                    f"{what} would compute other hidden states than transformers does (they differ by {far:.1g} "
                    f"of their size, rounding by {noise:.1g}), so its attention has something that is not honoured here"
                )
        decoder.set_attn_implementation("eager")
        made = model.get_output_embeddings()(own)
        if _distance(made, _tried(lambda: model(ids[None], use_cache=False).logits[0], "a plain text")) > allowed:
            raise UserError("its logits are scaled or capped behind its head, which search does not do")
    finally:
        decoder.set_attn_implementation(before)


def _tried(way: Callable[[], Tensor], what: str) -> Tensor:
    try:
        return way()
    except UserError:
        raise
    except Exception as error:  # attention of another layout fails in its own way
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"its attention is of another layout than {what} knows: {reason}") from error


def _distance(found: Tensor, own: Tensor) -> float:
    """How far hidden states [tokens, width] are from the library's, as a share of their size: the mean over tokens."""
    far = (found - own).float().norm(dim=-1) / own.float().norm(dim=-1).clamp(min=1e-12)
    return float(far.mean())


def _own(decoder: PreTrainedModel, ids: Tensor, attention: str) -> Tensor:
    decoder.set_attn_implementation(attention)
    states: Tensor = decoder(ids[None], use_cache=False).last_hidden_state[0]
    return states


def _searched(decoder: PreTrainedModel, ids: Tensor) -> Tensor:
    """As search does it: a beginning that is read once for all, then two branches side by side, in two parts.

    The first part lies in one page, and with the second the row gets more of them.
    """
    decoder.set_attn_implementation(NAME)
    rows, lead = Rows(kv_shape(decoder.config), decoder.device, decoder.dtype), len(ids) // 4
    row = _row(rows, 1, lead)
    column = torch.arange(lead, device=ids.device)
    states = [_read(decoder, rows, row, ids[:lead], column, column[:, None] >= column, column, None)]
    shared = rows.read(row, range(lead))
    branches = torch.stack([ids[lead:], ids[lead:].flip(0)], dim=1).flatten()  # side by side, column by column
    column = torch.arange(len(branches), device=ids.device)
    sees = (column[:, None] >= column) & (column[:, None] % 2 == column % 2)
    parts = column.chunk(2)
    row = _row(rows, 4, len(parts[0]))
    for part in parts:
        rows.reserve(np.array([row]), part[-1:].cpu().numpy() + 1)
        rows.used[row] = part[-1] + 1
        seen = sees[part, : rows.used[row]]
        found = _read(decoder, rows, row, branches[part], part, seen, lead + part // 2, shared)
        states.append(found[part % 2 == 0])
    return torch.cat(states)


def _row(rows: Rows, pages: int, columns: int) -> int:
    """The only row, of so many columns in one page; there are pages for more."""
    rows.lay_out(pages, columns)
    row = rows.open(columns)
    rows.used[row] = columns
    return row


def _read(
    decoder: PreTrainedModel,
    rows: Rows,
    row: int,
    ids: Tensor,
    column: Tensor,
    sees: Tensor,
    at: Tensor,
    lead: Tensor | None,
) -> Tensor:
    columns, tokens, positions = (each.cpu().numpy() for each in (column, ids, at))
    every = np.full(len(ids), row)
    return feed_rows(decoder, rows, every, columns, sees, tokens, positions, lead, np.ones(len(ids), dtype=bool))


def _paired(decoder: PreTrainedModel, ids: Tensor) -> Tensor:
    """As PPM training does it: two texts in one row that begin alike."""
    decoder.set_attn_implementation("sdpa" if decoder._supports_sdpa else "eager")
    half = len(ids) // 2
    both = torch.cat([ids, ids[half:].flip(0)])
    place = torch.arange(len(both), device=ids.device)
    at = torch.where(place < len(ids), place, place - len(ids) + half)
    other = (place[:, None] >= len(ids)) & (place >= half) & (place < len(ids))
    sees = windowed(decoder.config, ((place[:, None] >= place) & ~other)[None, None], at[None])
    states: Tensor = decoder(both[None], position_ids=at[None], attention_mask=sees, use_cache=False).last_hidden_state
    return states[0, : len(ids)]
