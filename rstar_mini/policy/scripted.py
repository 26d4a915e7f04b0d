"""A policy that recites: for tests, golden trees and the first lesson, with no model at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rstar_mini.policy.base import Propose, Request
from rstar_mini.types import Step


class ScriptedPolicy(Propose):
    """Proposes whatever `script(question, text so far)` returns, cycling through it when more are asked for."""

    elsewhere = False

    def __init__(self, script: Callable[[str, str], Sequence[str]]) -> None:
        self.script = script
        self.requests = 0
        self._waiting: list[tuple[Request, float]] = []

    def submit(self, requests: Sequence[Request], temperature: float) -> None:
        """Note the requests."""
        self._waiting += [(request, temperature) for request in requests]

    def collect(self) -> list[tuple[Request, list[Step]]]:
        """Answer all of them in one call of `propose`."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return []
        requests = [request for request, _ in waiting]
        return list(zip(requests, self.propose(requests, waiting[0][1]), strict=True))

    def propose(self, requests: Sequence[Request], temperature: float) -> list[list[Step]]:
        """The script's steps; at temperature 0 only the first of them."""
        self.requests += len(requests)
        return [self._steps(request, temperature) for request in requests]

    def _steps(self, request: Request, temperature: float) -> list[Step]:
        texts = self.script(request.problem.question, "".join(step.full_text for step in request.steps))
        choices = texts if temperature else texts[:1]
        return [Step(text, tokens=len(text.split())) for text in (choices[i % len(choices)] for i in range(request.n))]
