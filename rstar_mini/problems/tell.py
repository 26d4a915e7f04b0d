"""Tell a story of a given number of steps: draw a start, moves and a question from a theme, step by step."""

from __future__ import annotations

from collections.abc import Sequence

from rstar_mini.problems.moves import FEWER, GAP, MORE, Move, Numbers, Op, Theme
from rstar_mini.problems.story import Clause, DeadEndError, Story, clause

DISTRACTED = 0.15  # share of the longer stories with a number that does not matter
HARD_FROM = 4  # the level from which a story may hold moves of two steps, of two people, or told backwards
PARTS = {3: "third", 4: "quarter", 5: "fifth"}
COUNTS = ("no", "one", "two", "three", "four")

ASIDE = clause("""
    {D} is {n} years old.
    {D} lives {n} miles away.
    The house of {D} has {n} windows.
    The birthday of {D} is in {n} days.
    There are {n} children in the class of {D}.
    {D} reads a book in {n} hours.
    {D} has {n} friends.
    ~ In {n} days it is the birthday of {D}.
    ~ In the house of {D} there are {n} windows.
""")


def tell(story: Story, theme: Theme, level: int) -> None:
    """Tell a story of `level` computing steps.

    Raises:
        DeadEndError: the numbers drawn leave no way on.
    """
    _Teller(story, theme, level).tell()


def wander(story: Story, level: int, aside: Clause | None) -> None:
    """Slip a sentence with a number that does not matter into some of the longer stories, before their question."""
    if level < 2 or story.rng.random() >= DISTRACTED:
        return
    own = aside if aside and story.rng.random() < 0.5 else ASIDE
    places = len(story.sentences)  # one before each sentence; the last, which asks, stays last
    story.say(own, n=story.rng.randint(2, 40))
    story.sentences.insert(story.rng.randrange(places), story.sentences.pop())


class _Teller:
    """Draws moves until the story has its number of steps."""

    def __init__(self, story: Story, theme: Theme, level: int) -> None:
        self.story, self.theme, self.level = story, theme, level
        self.now = self.before = ""
        self.used: list[Move] = []
        story.slots["u"] = theme.unit or story.slots["o"]

    @property
    def room(self) -> int:
        return self.level - len(self.story.steps)

    def tell(self) -> None:
        self._play(self._draw([move for move in self.theme.starts if self._fits(move)]))
        while self.room:
            self._play(self._choose())
        if self.theme.key and not any(move.op in self.theme.key for move in self.used):
            raise DeadEndError
        if not self.used[-1].asks:
            if self.theme.asks is None:
                raise DeadEndError
            self.story.say(self.theme.asks)
        wander(self.story, self.level, self.theme.aside)

    def _fits(self, move: Move) -> bool:
        if move.op.hard and self.level < HARD_FROM:
            return False
        after = self.room - len(move.op.steps)
        return after == 0 if move.asks else after >= (0 if self.theme.asks else 1)

    def _choose(self) -> Move:
        options = [move for move in self.theme.moves if self._fits(move) and self._allowed(move)]
        fresh = [move for move in options if move not in self.used] or options
        ends = [move for move in fresh if move.asks]
        if ends and self.story.rng.random() < 0.5:
            fresh = ends
        return self._draw(fresh)

    def _draw(self, moves: Sequence[Move]) -> Move:
        if not moves:
            raise DeadEndError
        return self.story.rng.choice(moves)

    def _allowed(self, move: Move) -> bool:
        if move.unit == self.story.slots["o"] or (move.op.person == "pair" and not self.before):
            return False
        known = move.op is GAP and self.used[-1].op in (MORE, FEWER)  # the difference has just been told
        return not known and bool(self._numbers(move))

    def _numbers(self, move: Move) -> Sequence[Numbers]:
        return move.op.numbers(int(self.story.value(self.now)) if self.now else 0)

    def _play(self, move: Move) -> None:
        story, op = self.story, move.op
        numbers = story.rng.choice(self._numbers(move))
        story.slots |= dict(zip("nmkj", map(str, numbers), strict=False)) | _words(numbers)
        if op.person == "new":
            if not story.people:
                raise DeadEndError
            story.slots["B"] = story.people.pop()
        first = len(story.steps)
        if move.says:
            story.say(move.says)
        self._compute(op, numbers)
        if move.asks:
            story.say(move.asks)
        if op.names:
            story.quote(first)
        self.used.append(move)
        if move.unit:
            story.slots["o"] = story.slots["u"] = move.unit

    def _compute(self, op: Op, numbers: Numbers) -> None:
        story, now = self.story, self.now
        result = now or story.slots["n"]
        values = {"v": now, "p": self.before}
        if op.person == "pair":
            here, there = (now, story.slots["A"]), (self.before, story.slots["P"])
            ahead = story.value(now) > story.value(self.before)
            (values["x"], story.slots["X"]), (values["y"], story.slots["Y"]) = (here, there) if ahead else (there, here)
        solved = numbers[-1] if op.setup else None
        story.setup += [op.setup] if op.setup else []
        for comment, names_to_try, expression in op.steps:
            filled = expression.format_map(story.slots | values | {"r": result})
            result = story.step(comment, names_to_try, filled, solved)
        self._check(result)
        if op.person == "new":
            self.before = now
            story.slots |= {"P": story.slots["A"], "A": story.slots["B"]}
        elif op.person == "pair":
            self.before = ""
        self.now = result

    def _check(self, result: str) -> None:
        if not self.theme.low <= self.story.value(result) <= self.theme.high:
            raise DeadEndError


def _words(numbers: Numbers) -> dict[str, str]:
    """Numbers that are told in words: "twice", "two thirds"."""
    n, m = (*numbers, 0, 0)[:2]
    part = f"{COUNTS[m]} {PARTS[n]}{'s' if m > 1 else ''}" if n in PARTS and m < n else ""
    return {"times": "twice" if n == 2 else f"{n} times", "part": part}
