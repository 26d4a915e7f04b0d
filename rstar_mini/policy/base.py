"""What search asks of a policy, and the key that makes its sampling noise reproducible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from rstar_mini.types import Problem, Step


@dataclass(frozen=True, slots=True)
class Request:
    """A wish for `n` next steps after `steps`. `key` fixes the sampling noise: equal requests give equal candidates."""

    problem: Problem
    steps: tuple[Step, ...]
    n: int
    key: int


class Policy(Protocol):
    """The policy model: proposes next steps, and knows nothing of search, execution or rewards."""

    def propose(self, requests: Sequence[Request], temperature: float) -> list[list[Step]]:
        """`n` sampled steps for each request, repeats included, with `text` and `tokens`; temperature 0 is greedy."""
        ...

    def forget(self) -> None:
        """Drop whatever is cached about earlier requests (called when a shard is finished)."""
        ...


def noise_key(*parts: object) -> int:
    """A 63-bit key from (seed, round, problem, path): independent of batch order, process and machine."""
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
