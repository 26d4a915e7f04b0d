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
SPARE = 1.25  # times the mean length is kept free, because lengths differ


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


@dataclass(frozen=True, slots=True)
class Room:
    """How much there may be at work: `pages` of `page` columns, so many `candidates`, trees of `cache` tokens."""

    pages: int
    page: int
    candidates: int
    cache: int


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
        """Columns that are kept free for a candidate."""
        guess = FIRST_GUESS * self.max_step_tokens
        return SPARE * (GUESSED * guess + self._tokens) / (GUESSED + self._candidates)

    def choose(self, at_work: Sequence[tuple[Open, int]], room: Room) -> list[Open]:
        """Take out the waiting requests that fit beside those at work, which have so many columns each now.

        Trees that began earlier go first, and no tree begins that the caches of the others leave no room for. At least
        one request is at work; all are of one temperature.
        """
        pages = room.pages - sum(
            _pages(used + each.alive * max(self.expected - each.age, TICK), room.page) for each, used in at_work
        )
        candidates = sum(each.alive for each, _ in at_work)
        begun = {each.tree for each, _ in at_work} | {each.tree for each in self.waiting if each.request.steps}
        chosen: list[Open] = []
        for each in sorted(self.waiting, key=lambda each: (each.tree, each.number)):
            others = [*(other for other, _ in at_work[:1]), *chosen[:1]]
            columns = each.columns + each.request.n * self.expected
            if others and (
                each.temperature != others[0].temperature
                or candidates + each.request.n > room.candidates
                or _pages(columns, room.page) > pages
                or (each.tree not in begun and columns * (len(begun) + 1) > room.cache)
            ):
                break
            begun.add(each.tree)
            pages -= _pages(columns, room.page)
            candidates += each.request.n
            each.opened, self._opened = self._opened, self._opened + 1
            chosen.append(each)
        taken = {each.number for each in chosen}
        self.waiting = [each for each in self.waiting if each.number not in taken]
        return sorted(chosen, key=lambda each: each.number)


def _pages(columns: float, page: int) -> int:
    return -int(-columns // page)
