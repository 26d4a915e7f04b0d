"""The families of generated problems: each tells a story of a given number of computing steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rstar_mini.problems.families.ages import AGES
from rstar_mini.problems.families.averages import AVERAGES
from rstar_mini.problems.families.counting import WAYS
from rstar_mini.problems.families.fractions import FRACTIONS
from rstar_mini.problems.families.geometry import AREA, FENCE
from rstar_mini.problems.families.inventory import INVENTORY
from rstar_mini.problems.families.money import MONEY
from rstar_mini.problems.families.percentages import PERCENT_OBJECTS, PERCENT_PRICES
from rstar_mini.problems.families.probability import chances
from rstar_mini.problems.families.rates import DRIVING, WORK
from rstar_mini.problems.families.sequences import sequence
from rstar_mini.problems.families.sharing import SHARING
from rstar_mini.problems.families.unit_prices import UNIT_PRICES
from rstar_mini.problems.families.unknowns import EQUATION, EQUATION_PRICES, SYSTEM, SYSTEM_PRICES
from rstar_mini.problems.moves import Theme
from rstar_mini.problems.story import Story
from rstar_mini.problems.tell import tell

Teller = Callable[[Story, int], None]


def _themed(*themes: Theme) -> Teller:
    return lambda story, level: tell(story, story.rng.choice(themes), level)


FAMILIES: Mapping[str, Teller] = {
    "inventory": _themed(INVENTORY),
    "money": _themed(MONEY),
    "unit_prices": _themed(UNIT_PRICES),
    "sharing": _themed(SHARING),
    "rates": _themed(WORK, DRIVING),
    "ages": _themed(AGES),
    "averages": _themed(AVERAGES),
    "geometry": _themed(AREA, FENCE),
    "percentages": _themed(PERCENT_OBJECTS, PERCENT_PRICES),
    "fractions": _themed(FRACTIONS),
    "sequences": sequence,
    "counting": _themed(WAYS),
    "probability": chances,
    "equations": _themed(EQUATION, EQUATION_PRICES),
    "systems": _themed(SYSTEM, SYSTEM_PRICES),
}
