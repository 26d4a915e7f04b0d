"""Percentages of objects and of prices."""

from __future__ import annotations

from rstar_mini.problems.families.inventory import (
    ASIDE_HAS,
    ASK_BOTH,
    ASK_GAP,
    ASK_NOW,
    CHANGES,
    COMPARISONS,
    HAS,
    HAS_BOXES,
)
from rstar_mini.problems.families.money import ASIDE_MONEY
from rstar_mini.problems.families.unit_prices import (
    ALSO,
    ASK_CHANGE,
    ASK_PAY,
    ASK_PAY_BOTH,
    ASK_PAY_GAP,
    DISCOUNT,
    PAYS_LESS,
    PAYS_MORE,
    PAYS_TIMES,
    PRICE,
)
from rstar_mini.problems.moves import (
    ADD,
    BOTH,
    FEWER,
    GAP,
    LEFTS,
    MORE,
    NEED,
    OTHERS,
    SUB,
    TIMES_AS,
    TOTALS,
    Move,
    Numbers,
    Op,
    Theme,
    fixed,
    plain,
)
from rstar_mini.problems.story import clause

GIVES_PERCENT = clause("""
    {A} gives {n} percent of the {o} to {C}.
    Then {A} loses {n} percent of the {o}.
    {C} gets {n} percent of the {o} from {A}.
    {A} sells {n} percent of the {o}.
    ~ {n} percent of the {o} go from {A} to {C}.
""")
KEEPS_PERCENT = clause("""
    {A} keeps only {n} percent of the {o}.
    {A} gives away the {o} but keeps {n} percent.
    Only {n} percent of the {o} are left for {A}.
    {A} keeps {n} percent of the {o} and sells the rest.
    ~ {n} percent of the {o} is what {A} keeps.
""")
GETS_PERCENT = clause("""
    {A} gets {n} percent more {o}.
    Then {A} buys {n} percent more {o} than before.
    The number of {o} of {A} grows by {n} percent.
    {C} gives {A} {n} percent more {o}.
    ~ By {n} percent the number of {o} of {A} grows.
""")
HAS_PERCENT = clause("""
    {B} has {n} percent of the number of {o} that {A} has.
    The {o} of {B} are {n} percent of the {o} of {A}.
    {B} has only {n} percent as many {o} as {A}.
    Now {B} has {n} percent of what {A} has.
    ~ {n} percent as many {o} as {A} is what {B} has.
""")
ASK_RED_PERCENT = clause("""
    {n} percent of the {o} of {A} are red. How many red {o} does {A} have?
    How many red {o} does {A} have if {n} percent are red?
    Find the number of red {o} of {A} if {n} percent are red.
    Of all the {o} of {A}, {n} percent are red. How many are red?
    ~ If {n} percent of the {o} of {A} are red, how many are red?
""")
ASK_WHAT_PERCENT = clause("""
    {n} of the {o} of {A} are red. What percent of the {o} are red?
    What percent of the {o} of {A} are red if {n} are red?
    Find the percent of red {o} of {A} if {n} are red.
    Of all the {o} of {A}, {n} are red. How many percent are red?
    ~ If {n} of the {o} of {A} are red, what percent are red?
""")
SALE = clause("""
    In the sale the shop takes {n} percent off for {A}.
    {A} pays {n} percent less because of a sale.
    The shop takes {n} percent off the price for {A}.
    In the sale the price for {A} goes down by {n} percent.
    ~ By {n} percent the price for {A} goes down in the sale.
""")
RAISE = clause("""
    After a week the price for {A} grows by {n} percent.
    {A} must pay {n} percent more.
    The shop wants {n} percent more money from {A}.
    {A} pays {n} percent more in the end.
    ~ By {n} percent the price for {A} grows after a week.
""")
PAYS_PERCENT = clause("""
    {B} pays {n} percent of what {A} pays.
    {B} pays only {n} percent as much as {A}.
    The things of {B} cost {n} percent of the things of {A}.
    {B} spends {n} percent of the money that {A} spends.
    ~ {n} percent of what {A} pays is what {B} pays.
""")

_PERCENTS = (5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90)
_TENS = [
    (n, m)
    for n in (2, 4, 5, 6, 8, 10, 15, 20)
    for m in (5, 10, 15, 20, 25)
    if n != m and n * m % 20 == 0 and n * m <= 200
]


def _percents(v: int) -> list[Numbers]:
    return [(n,) for n in _PERCENTS if v * n % 100 == 0]


def _raises(v: int) -> list[Numbers]:
    return [(n,) for n in (*_PERCENTS, 100) if v * n % 100 == 0]


def _shares(v: int) -> list[Numbers]:
    return [(n,) for n in range(2, v) if 100 * n % v == 0]


OFF = "{v} * {n} // 100"
PERCENT_OFF = Op("gone lost", OFF, _percents, then=(("Take it away", LEFTS, "{v} - {r}"),))
PERCENT_ON = Op("new extra", OFF, _raises, then=(("Add it", TOTALS, "{v} + {r}"),))
PERCENT_KEPT = Op("part piece", OFF, _percents)
PERCENT_AS = Op(OTHERS, OFF, _percents, "new")
PERCENT_RED = Op("red", OFF, _percents)
WHAT_PERCENT = Op("percent", "{n} * 100 // {v}", _shares)
_PERCENT_OPS = (PERCENT_OFF, PERCENT_ON, PERCENT_KEPT, PERCENT_AS, PERCENT_RED, WHAT_PERCENT)
PERCENT_OBJECTS = Theme(
    (
        Move(plain(20, 200, 10), HAS),
        Move(Op("all", "{n} * {m}", fixed(_TENS)), HAS_BOXES),
    ),
    (
        *CHANGES,
        *COMPARISONS,
        Move(PERCENT_OFF, GIVES_PERCENT),
        Move(PERCENT_ON, GETS_PERCENT),
        Move(PERCENT_KEPT, KEEPS_PERCENT),
        Move(PERCENT_AS, HAS_PERCENT),
        Move(PERCENT_RED, asks=ASK_RED_PERCENT),
        Move(WHAT_PERCENT, asks=ASK_WHAT_PERCENT),
        Move(BOTH, asks=ASK_BOTH),
        Move(GAP, asks=ASK_GAP),
    ),
    ASK_NOW,
    aside=ASIDE_HAS,
    key=_PERCENT_OPS,
)
PERCENT_PRICES = Theme(
    (Move(Op("cost", "{n} * {m}", fixed(_TENS)), PRICE),),
    (
        Move(PERCENT_OFF, SALE),
        Move(PERCENT_ON, RAISE),
        Move(PERCENT_AS, PAYS_PERCENT),
        Move(ADD, ALSO),
        Move(SUB, DISCOUNT),
        Move(MORE, PAYS_MORE),
        Move(FEWER, PAYS_LESS),
        Move(TIMES_AS, PAYS_TIMES),
        Move(BOTH, asks=ASK_PAY_BOTH),
        Move(GAP, asks=ASK_PAY_GAP),
        Move(NEED, asks=ASK_CHANGE),
    ),
    ASK_PAY,
    unit="dollars",
    aside=ASIDE_MONEY,
    key=_PERCENT_OPS,
)
