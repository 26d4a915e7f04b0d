"""The final answer of a solution in a model's own words, which keeps to no format."""

from __future__ import annotations

import re

from rstar_mini.code_cot import END_ANSWER, boxed_answer

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


def said_answer(text: str) -> str:
    """What the text boxes last; else the last number of it, without separators; "" when there is neither."""
    boxed = boxed_answer(text + END_ANSWER)
    if boxed is not None:
        return boxed
    numbers = _NUMBER.findall(text)
    return numbers[-1].replace(",", "") if numbers else ""
