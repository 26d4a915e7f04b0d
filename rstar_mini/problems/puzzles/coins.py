"""Paying an amount with exactly so many coins, the largest first."""

from __future__ import annotations

from random import Random

from rstar_mini.problems.puzzles.puzzle import Decision, State
from rstar_mini.problems.story import clause

KINDS = 4
WORTH = range(1, 26)


class Coins:
    """The sum of the amounts paid so far is asked for; the order of the coins is given, so it is one number."""

    name = "coins"
    told = (
        clause("""
            {A} pays {goal} cents with exactly {left} coins.
            With exactly {left} coins {A} pays {goal} cents.
            {A} has to pay {goal} cents and uses exactly {left} coins.
            ~ Exactly {left} coins of {A} are worth {goal} cents.
        """),
        clause("""
            On this island there are coins of {numbers} cents.
            The coins of this island are worth {numbers} cents.
            {A} has many coins of {numbers} cents.
            ~ Of {numbers} cents are the coins on this island.
        """),
        clause("""
            No coin is larger than the one before.
            The largest coins come first.
            {A} puts down the largest coins first.
            ~ First come the largest coins.
        """),
        clause("""
            After each coin {A} says how much is paid. What is the sum of these numbers?
            {A} writes down how much is paid after each coin. What do these numbers add up to?
            ~ How much is paid {A} says after each coin. What is the sum of the numbers?
        """),
    )

    def start(self, count: int, rng: Random) -> State:
        """Nothing is paid, and all kinds of coins may be used."""
        return State(0, 0, count, tuple(sorted(rng.sample(WORTH, KINDS), reverse=True)))

    def decisions(self, state: State) -> list[Decision]:
        """Any coin that is not larger than the one before."""
        return [self._pay(state, coin) for coin in state.numbers]

    def _pay(self, state: State, coin: int) -> Decision:
        paid, smaller = state.now + coin, tuple(other for other in state.numbers if other <= coin)
        after = State(paid, state.goal, state.left - 1, smaller, state.record + paid)
        return Decision("Pay a coin", f"pay({coin})", after)

    def slots(self, start: State) -> dict[str, object]:
        """None besides the common ones."""
        return {}

    def setup(self, start: State) -> str:
        """`pay` puts a coin down; the larger ones are no longer to be used."""
        return f"""\
now, goal, left, total = {start.now}, {start.goal}, {start.left}, 0
coins = [{", ".join(map(str, start.numbers))}]
def pay(coin):
    global now, left, total, coins
    now, left, total = now + coin, left - 1, total + now + coin
    coins = coins[coins.index(coin):]
    print(*coins, now, goal, left)
print(*coins, now, goal, left)"""
