"""Which requests are decoded together: as many as the pages hold at the lengths that they are expected to reach.

README.md in this folder draws it. What is chosen depends on what was submitted since the last `forget`, and on nothing
else: no clock, no other shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rstar_mini.policy.base import Request
from rstar_mini.policy.segments import EMPTY, Segment
from rstar_mini.types import Step

TICK = 8  # tokens between two looks at what is finished and what waits: fixed, so that batches do not hang on clocks
FIRST_GUESS = 0.5  # of the longest step, which counts as much as `GUESSED` candidates that were seen
GUESSED = 16


@dataclass(slots=True, eq=False)
class Open:
    """A request that waits or is at work.

    Its text of `length` tokens has `columns` columns in a row; all but the last token are in `segment` too. At work it
    lies in row `row`, and its unfinished candidates have `age` tokens each. `done` collects its steps with their noise
    keys, `unique` counts its new tokens. It may have been at work before, and so be `again`.
    """

    request: Request
    temperature: float
    number: int
    tree: int  # trees are numbered in the order of their first request
    columns: int
    again: bool = False
    opened: int = -1
    row: int = -1
    length: int = 0
    segment: Segment = EMPTY
    age: int = 0
    unique: int = 0
    past_end: int = 0
    done: list[tuple[int, Step]] = field(default_factory=list)

    @property
    def alive(self) -> int:
        """Candidates that have not ended."""
        return self.request.n - len(self.done)

    def anew(self) -> Open:
        """The same request, as if it had never been at work."""
        return Open(self.request, self.temperature, self.number, self.tree, self.columns, again=True)


class Admission:
    """The waiting requests, and what is known of the length of steps."""

    def __init__(self, max_step_tokens: int) -> None:
        self.max_step_tokens = max_step_tokens
        self._submitted = self._opened = 0
        self.forget()

    def forget(self) -> None:
        """Drop what waits and what was learnt."""
        self.waiting: list[Open] = []
        self._trees: dict[str, int] = {}
        self._tokens = self._candidates = 0

    def submit(self, request: Request, temperature: float, columns: int) -> None:
        """Let a request wait whose text has so many columns."""
        tree = self._trees.setdefault(request.problem.id, len(self._trees))
        self.waiting.append(Open(request, temperature, self._submitted, tree, columns))
        self._submitted += 1

    def learn(self, candidates: int, tokens: int) -> None:
        """Candidates of one node have ended, and took so many columns, what they share counted once."""
        self._candidates += candidates
        self._tokens += tokens

    @property
    def expected(self) -> float:
        """Columns that a candidate is expected to take."""
        guess = FIRST_GUESS * self.max_step_tokens
        return (GUESSED * guess + self._tokens) / (GUESSED + self._candidates)

    def choose(self, at_work: Sequence[tuple[Open, int]], pages: int, page: int, most: int) -> list[Open]:
        """Take out the waiting requests that fit beside those at work, which have so many columns each now.

        Trees that began earlier go first, so that few trees are kept in memory at a time. At least one request is at
        work; all are of one temperature, and have `most` candidates at most together.
        """
        rooms = [used + each.alive * max(self.expected - each.age, TICK) for each, used in at_work]
        pages -= sum(_pages(room, page) for room in rooms)
        candidates = sum(each.alive for each, _ in at_work)
        chosen: list[Open] = []
        for each in sorted(self.waiting, key=lambda each: (each.tree, each.number)):
            others = [*(other for other, _ in at_work[:1]), *chosen[:1]]
            wanted = _pages(each.columns + each.request.n * self.expected, page)
            if others and (
                each.temperature != others[0].temperature or candidates + each.request.n > most or wanted > pages
            ):
                break
            pages -= wanted
            candidates += each.request.n
            each.opened, self._opened = self._opened, self._opened + 1
            chosen.append(each)
        taken = {each.number for each in chosen}
        self.waiting = [each for each in self.waiting if each.number not in taken]
        return sorted(chosen, key=lambda each: each.number)


def _pages(columns: float, page: int) -> int:
    return -int(-columns // page)
