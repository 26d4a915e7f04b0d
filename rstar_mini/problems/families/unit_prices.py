"""Unit prices: what some things cost, and what people pay."""

from __future__ import annotations

from rstar_mini.problems.families.money import ASIDE_MONEY
from rstar_mini.problems.moves import (
    ADD,
    ADD_BATCH,
    BOTH,
    FEWER,
    GAP,
    HALF,
    MORE,
    NEED,
    PART_AS,
    SPLIT,
    SUB,
    TIMES,
    TIMES_AS,
    Move,
    Op,
    Theme,
    fixed,
    grid,
)
from rstar_mini.problems.story import clause

PRICE = clause("""
    Each {s} costs ${n}. {A} buys {m} {o}.
    {A} buys {m} {o}. The price of each {s} is ${n}.
    The shop sells {o} for ${n} each, and {A} buys {m} of them.
    {A} buys {m} {o}, and each of them costs ${n}.
    {A} pays ${n} for each of {m} {o}.
    ~ {A} buys {m} {o} for ${n} each.
""")
PRICE_OF_MANY = clause("""
    {n} {o} cost ${m} in all. {A} buys {k} {o}.
    {A} buys {k} {o}. The price of {n} {o} is ${m}.
    {C} buys {n} {o} for ${m}. At the same price {A} buys {k} {o}.
    In the shop {n} {o} cost ${m}, and {A} buys {k}.
    {A} needs {k} {o}, and {n} {o} cost ${m}.
    ~ The shop sells {n} {o} for ${m}. {A} buys {k} of the {o}.
""")
PRICE_OF_ONE = clause("""
    {A} buys one {s}. {n} {o} cost ${m} in all.
    The shop sells {n} {o} for ${m}. {A} buys one {s}.
    {C} buys {n} {o} for ${m}. At the same price {A} buys one {s}.
    In the shop {n} {o} cost ${m}, and {A} buys only one {s}.
    {A} needs one {s}, and {n} {o} cost ${m}.
    ~ {A} buys one {s}. The price of {n} {o} is ${m}.
""")
DEARER = clause("""
    {A} buys a {s2}. Each {s} costs ${n}, and a {s2} costs ${m} more than a {s}.
    A {s} costs ${n}, and a {s2} costs ${m} more. {A} buys one {s2}.
    The price of a {s} is ${n}. The {s2} that {A} buys costs ${m} more.
    One {s} costs ${n}. {A} buys a {s2}, and it costs ${m} more.
    {A} buys a {s2}. It costs ${m} more than a {s}, and a {s} costs ${n}.
    ~ A {s} costs ${n}. The {s2} that {A} buys costs ${m} more than a {s}.
""")
CHEAPER = clause("""
    {A} buys a {s2}. Each {s} costs ${n}, and a {s2} costs ${m} less than a {s}.
    A {s} costs ${n}, and a {s2} costs ${m} less. {A} buys one {s2}.
    The price of a {s} is ${n}. The {s2} that {A} buys costs ${m} less.
    One {s} costs ${n}. {A} buys a {s2}, and it costs ${m} less.
    {A} buys a {s2}. It costs ${m} less than a {s}, and a {s} costs ${n}.
    ~ A {s} costs ${n}. The {s2} that {A} buys costs ${m} less than a {s}.
""")
ALSO = clause("""
    {A} also buys a bag for ${n}.
    {A} then pays ${n} more for a box.
    A bag for ${n} is what {A} also buys.
    {A} adds a bag that costs ${n}.
    A box costs ${n}, and {A} buys it also.
    ~ Then {A} buys a book for ${n}.
""")
ALSO_MANY = clause("""
    {A} also buys {n} {o3} for ${m} each.
    {A} also pays ${m} for each of {n} {o3}.
    Each {s3} costs ${m}, and {A} buys {n} {o3} also.
    ~ Then {A} buys {n} {o3}. Each {s3} costs ${m}.
""")
DISCOUNT = clause("""
    The shop takes ${n} off the price for {A}.
    {A} pays ${n} less because of a sale.
    In the sale the price for {A} goes down by ${n}.
    {A} gets ${n} off the price.
    For {A} the price is ${n} less today.
    ~ {C} pays ${n} of the price for {A}.
""")
HALF_PRICE = clause("""
    In the sale {A} pays only half of the price.
    {C} pays half of the price for {A}.
    Because of a sale {A} pays half.
    {A} gets half off the price.
    For {A} the price is only half today.
    ~ The shop takes half off the price for {A}.
""")
AGAIN = clause("""
    {A} buys all this {times}, for {C} also.
    {A} must pay {times} as much in the end.
    The shop then wants {times} as much money from {A}.
    {A} needs {times} as much of all this.
    For {A} the price is {times} as much today.
    ~ After a week the price for {A} is {times} as much.
""")
SPLITS = clause("""
    {n} friends share the price equally, and {A} is one of them.
    {n} people pay equal parts, and one of them is {A}.
    {A} shares the price equally in {n} parts and pays one part.
    {A} and the others, {n} people in all, share the price equally.
    The price goes equally to {n} people, and {A} is one of them.
    ~ {A} pays only one of {n} equal parts of the price.
""")
PAYS_MORE = clause("""
    {B} pays ${n} more than {A}.
    The things of {B} cost ${n} more than the things of {A}.
    {B} spends more than {A} by ${n}.
    {B} must pay ${n} more than {A} must pay.
    What {B} buys costs ${n} more than what {A} buys.
    ~ {B} spends ${n} more than {A}.
""")
PAYS_LESS = clause("""
    {B} pays ${n} less than {A}.
    The things of {B} cost ${n} less than the things of {A}.
    {B} spends less than {A} by ${n}.
    {B} must pay ${n} less than {A} must pay.
    What {B} buys costs ${n} less than what {A} buys.
    ~ {B} spends ${n} less than {A}.
""")
PAYS_TIMES = clause("""
    {B} pays {times} as much as {A}.
    The things of {B} cost {times} as much as the things of {A}.
    For each dollar that {A} pays, {B} pays ${n}.
    {B} must pay {times} the price that {A} must pay.
    What {B} buys costs {times} as much as what {A} buys.
    ~ {B} spends {times} as much money as {A}.
""")
PAYS_PART = clause("""
    {A} pays {times} as much as {B}.
    The things of {A} cost {times} as much as the things of {B}.
    For each dollar that {B} pays, {A} pays ${n}.
    ~ {A} spends {times} as much money as {B}.
""")
ASK_PAY = clause("""
    How much does {A} pay in all?
    Find the money that {A} spends in all.
    What is the amount of money {A} pays?
    How many dollars is that for {A} in all?
    Tell how much {A} pays.
    ~ How many dollars must {A} pay?
""")
ASK_PAY_BOTH = clause("""
    How much do {P} and {A} pay together?
    How many dollars do {A} and {P} spend in all?
    Find the money that {P} and {A} spend together.
    ~ What is the amount of money {P} and {A} pay together?
""")
ASK_PAY_GAP = clause("""
    How much more does {X} pay than {Y}?
    How many dollars less does {Y} pay than {X}?
    By how many dollars does {X} spend more than {Y}?
    ~ Find how much more {X} spends than {Y}.
""")
ASK_CHANGE = clause("""
    {A} pays with ${n}. How much money does {A} get back?
    {A} gives the shop ${n}. How many dollars must {A} get back?
    How much is left if {A} has ${n} to spend?
    {A} gives the shop ${n}. Find the money that the shop gives back.
    {A} pays with ${n}. How many dollars are left?
    ~ {A} has ${n}. How much money is left?
""")

EACH = ("each", "{m} // {n}")
_MANY = [(n, n * each) for n in range(2, 10) for each in range(2, 13)]
_MANY_THEN = [(n, m, k) for n, m in _MANY for k in range(2, 10) if k != n]
PER_ONE = Op(*EACH, fixed(_MANY))
PER_MANY = Op(*EACH, fixed(_MANY_THEN), then=(("Find the cost of the {o}", "cost", "{r} * {k}"),), hard=True)
PER_EACH = Op("cost", "{n} * {m}", grid(range(2, 11), range(2, 13)))
PLUS = Op("price", "{n} + {m}", grid(range(5, 41), range(2, 21)))
MINUS = Op("price", "{n} - {m}", grid(range(30, 61), range(2, 28)))
UNIT_PRICES = Theme(
    (
        Move(PER_EACH, PRICE),
        Move(PER_ONE, PRICE_OF_ONE),
        Move(PER_MANY, PRICE_OF_MANY),
        Move(PLUS, DEARER),
        Move(MINUS, CHEAPER),
    ),
    (
        Move(ADD, ALSO),
        Move(ADD_BATCH, ALSO_MANY),
        Move(SUB, DISCOUNT),
        Move(HALF, HALF_PRICE),
        Move(TIMES, AGAIN),
        Move(SPLIT, SPLITS),
        Move(MORE, PAYS_MORE),
        Move(FEWER, PAYS_LESS),
        Move(TIMES_AS, PAYS_TIMES),
        Move(PART_AS, PAYS_PART),
        Move(BOTH, asks=ASK_PAY_BOTH),
        Move(GAP, asks=ASK_PAY_GAP),
        Move(NEED, asks=ASK_CHANGE),
    ),
    ASK_PAY,
    unit="dollars",
    aside=ASIDE_MONEY,
)
