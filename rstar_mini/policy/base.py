"""What search asks of a policy, and the key that makes its sampling noise reproducible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol, runtime_checkable

from rstar_mini.types import Problem, Step


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A wish for `n` next steps after `steps`. `key` fixes the sampling noise: the same wish gives the same steps."""

    problem: Problem
    steps: tuple[Step, ...]
    n: int
    key: int


class Policy(Protocol):
    """The policy model: proposes next steps, and knows nothing of search, execution or rewards.

    Requests go in with `submit` and come out of `collect` when they are done, in whatever order, so that an engine can
    fill the place of a finished one at once and search can run the code of some while others are still written.
    """

    @property
    def elsewhere(self) -> bool:
        """Whether it computes on other hardware than this process's cores, which then are free for programs."""
        ...

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """Ask for the steps of each request; temperature 0 is greedy."""
        ...

    def collect(self) -> list[tuple[Request, list[Step]]]:
        """Work for a while on what was submitted; returns what is done, if anything is, in the order of submission.

        Each request, the object that was submitted, comes with its `n` sampled steps, repeats included, with `text` and
        `tokens`. Nothing submitted, nothing done.
        """
        ...

    def close(self) -> None:
        """Give back what outlives the object: threads, connections, a server. It is not asked any more."""
        ...


@runtime_checkable
class Caching(Protocol):
    """What a policy or a PPM has as well when it remembers the prefixes that it has read."""

    def release(self, ended: Iterable[tuple[Problem, tuple[Step, ...]]]) -> None:
        """Drop what is remembered for these prefixes alone: search will never ask to go on from them."""
        ...

    def forget(self) -> None:
        """Drop everything (called when a shard is finished)."""
        ...


class Propose:
    """What policies have in common: the plain call that waits for everything, and an end that takes no work."""

    def propose(self: Policy, requests: Sequence[Request], temperature: float) -> list[list[Step]]:
        """`n` sampled steps for each request, repeats included."""
        self.submit(requests, temperature)
        steps: dict[int, list[Step]] = {}
        while any(id(request) not in steps for request in requests):
            steps |= {id(request): proposed for request, proposed in self.collect()}
        return [steps[id(request)] for request in requests]

    def close(self) -> None:
        """Most policies have nothing to give back."""


def forget(*models: object) -> None:
    """Let those models that remember what they read forget it."""
    for model in models:
        if isinstance(model, Caching):
            model.forget()


def noise_key(*parts: object) -> int:
    """A 63-bit key from (seed, round, problem, path): independent of batch order, process and machine."""
    digest = blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
