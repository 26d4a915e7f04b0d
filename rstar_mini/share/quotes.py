"""Quotations of problems in texts that are passed on where the problems themselves may not be: they are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

LONGEST = 8  # words in a row that may stand in a text as they stand in a problem
LEFT_OUT = "[...]"
_WORDS = re.compile(r"[^\W_]+"), re.compile(r"\S+")  # whatever stands between them; and as they are typed


class Quotes:
    """The problems whose texts are not passed on, and what stands in the place of a quotation."""

    def __init__(self, problems: Iterable[str]) -> None:
        self._runs: set[int] = set()  # hashes, since a large set of problems has millions of them
        for text in problems:
            for kind in _WORDS:
                words = [word.casefold() for word in kind.findall(text)]
                self._runs.update(hash(tuple(words[i : i + LONGEST + 1])) for i in range(len(words) - LONGEST))

    def left_out(self, text: str) -> str:
        """The text without any run of more than `LONGEST` words of a problem."""
        for kind in _WORDS:
            text = self._without(list(kind.finditer(text)), text)
        return text

    def _without(self, words: list[re.Match[str]], text: str) -> str:
        said = [word[0].casefold() for word in words]
        quoted = [hash(tuple(said[i : i + LONGEST + 1])) in self._runs for i in range(len(words) - LONGEST)]
        kept, end, i = [], 0, 0
        while i < len(quoted):
            if not quoted[i]:
                i += 1
                continue
            last = i + 1
            while last < len(quoted) and quoted[last]:
                last += 1
            kept += [text[end : words[i].start()], LEFT_OUT]
            end, i = words[last - 1 + LONGEST].end(), last + LONGEST
        return "".join(kept) + text[end:]

    def left_out_of(self, data: Any) -> Any:
        """The same for every text in JSON data."""
        if isinstance(data, str):
            return self.left_out(data)
        if isinstance(data, list):
            return [self.left_out_of(value) for value in data]
        if isinstance(data, dict):
            return {self.left_out(name): self.left_out_of(value) for name, value in data.items()}
        return data
