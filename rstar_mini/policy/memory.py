"""What the tables of a step may take, and what to do when memory runs out all the same: smaller batches."""

from __future__ import annotations

import gc

import torch

from rstar_mini.errors import UserError

TABLE_BYTES = 2**29  # for the scores of attention when a prompt is read, and for the logits of a step


def smaller(error: Exception, rows: int) -> int:
    """Half as many rows, after an error that memory ran out; frees what can be freed.

    Raises:
        Exception: `error` itself, when it is about something else.
        UserError: one row alone does not fit.
    """
    text = str(error)
    ran_out = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "not enough memory" in text
    if not ran_out and "allocate memory" not in text:
        raise error
    if rows <= 1:
        raise too_large() from error
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return rows // 2


def too_large() -> UserError:
    """One node alone does not fit."""
    return UserError(
        "there is not enough memory for one node of the search; lower rounds.candidates or policy.max_step_tokens, "
        "or choose a smaller model"
    )
