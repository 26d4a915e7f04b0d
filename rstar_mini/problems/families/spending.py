"""Families about money and prices."""

from __future__ import annotations

from rstar_mini.problems.moves import (
    ADD, ADD_BATCH, BOTH, FEWER, GAP, HALF, HALF_AS, MORE, NEED, PART_AS, SPLIT, SUB, SUB_BATCH, TIMES, TIMES_AS,
    Move, Op, Theme, plain, start,
)
from rstar_mini.problems.story import clause

_PRODUCTS = [(n, m) for n in range(2, 11) for m in range(2, 13) if n != m]

HAS = clause("""
    {A} has ${n}.
    At first {A} has ${n} in the bag.
    {A} starts with ${n}.
    {A} has ${n} to spend.
    ~ There is ${n} in the bag of {A} at first.
    ~ In the bag of {A} there is ${n}.
""")
WORKS = clause("""
    {A} works {n} hours and earns ${m} an hour.
    {A} earns ${m} for each hour of work and works {n} hours.
    For {n} hours of work {A} gets ${m} an hour.
    {A} saves ${m} a week for {n} weeks.
    ~ {A} gets ${m} an hour and works for {n} hours.
    ~ An hour of work earns {A} ${m}, and {A} works {n} hours.
""")
EARNS = clause("""
    {A} earns ${n} more.
    {C} gives {A} ${n}.
    Then {A} finds ${n}.
    {A} gets ${n} from {C}.
    ~ From {C} {A} gets ${n} more.
    ~ {C} spends ${n} and gives it to {A}.
""")
SPENDS = clause("""
    {A} spends ${n}.
    {A} gives ${n} to {C}.
    Then {A} buys {o2} for ${n}.
    {C} gets ${n} from {A}.
    {A} loses ${n}.
    ~ For ${n} {A} buys {o2}.
    ~ {C} sells {o2} to {A} for ${n}.
""")
BUYS = clause("""
    {A} buys {n} {o2} for ${m} each.
    Each {s2} costs ${m}, and {A} buys {n} {o2}.
    Then {A} spends ${m} on each of {n} {o2}.
    {A} gives {n} friends ${m} each.
    ~ {A} buys {n} {o2}, and ${m} is the price of each {s2}.
    ~ For ${m} each {A} then buys {n} {o2}.
""")
SELLS = clause("""
    {A} sells {n} {o2} for ${m} each.
    {C} buys {n} {o2} from {A} for ${m} each.
    Then {A} earns ${m} an hour for {n} hours.
    Each of {n} friends gives ${m} to {A}.
    ~ For ${m} each {A} sells {n} {o2} to {C}.
""")
SPENDS_HALF = clause("""
    {A} spends half of the money.
    {A} gives half of the money to {C}.
    Then {A} loses one half of the money.
    {C} gets half of the money of {A}.
    ~ Half of the money of {A} then goes to {C}.
""")
GROWS = clause("""
    Soon {A} has {times} as much money.
    The money of {A} grows to {times} as much.
    After a week {A} has {times} as much money as before.
    Then {A} earns so much that there is {times} as much money.
    ~ {times} as much money as before is what {A} has soon.
""")
HAS_MORE = clause("""
    {B} has ${n} more than {A}.
    Now {A} has ${n} less than {B}.
    {B} has more money than {A} by ${n}.
    {A} has less money than {B} by ${n}.
    ~ Than {A}, {B} has ${n} more.
    ~ By ${n}, {A} has less money than {B}.
""")
HAS_LESS = clause("""
    {B} has ${n} less than {A}.
    Now {A} has ${n} more than {B}.
    {B} has less money than {A} by ${n}.
    {A} has more money than {B} by ${n}.
    ~ Than {A}, {B} has ${n} less.
    ~ By ${n}, {A} has more money than {B}.
""")
HAS_TIMES = clause("""
    {B} has {times} as much money as {A}.
    Now {B} has {times} the money that {A} has.
    For each dollar of {A}, {B} has ${n}.
    {B} has {times} as much as {A} has now.
    ~ {times} the money of {A} is what {B} has.
""")
HAS_PART = clause("""
    {A} has {times} as much money as {B}.
    Now {A} has {times} the money that {B} has.
    For each dollar of {B}, {A} has ${n}.
    {A} has {times} as much as {B} has now.
    ~ {times} the money of {B} is what {A} has.
""")
HAS_HALF = clause("""
    {B} has half as much money as {A}.
    Now {B} has half the money that {A} has.
    {B} has only half as much as {A} has now.
    {B} has one half of the money of {A}.
    ~ Half the money of {A} is what {B} has.
""")
GETS_ALL = clause("""
    {P} gives all the money of {P} to {A}.
    {A} gets all the money that {P} has.
    Then {P} spends all the money of {P} on {A}.
    {P} loses all the money, and {A} finds it.
    ~ All the money that {P} has goes to {A}.
""")
ASK_NOW = clause("""
    How much money does {A} have now?
    How many dollars does {A} have in the end?
    Find the money that {A} has now.
    What is the amount of money {A} has in the end?
    ~ In the end, how much money is in the bag of {A}?
    ~ How much of the money does {A} now have?
""")
ASK_BOTH = clause("""
    How much money do {A} and {P} have together?
    How many dollars do {P} and {A} have in all?
    Find the money that {P} and {A} have together.
    What is the amount of money of {P} and {A} together?
    ~ Together, how much money do {P} and {A} have in the end?
""")
ASK_GAP = clause("""
    How much more money does {X} have than {Y}?
    How many dollars less does {Y} have than {X}?
    Find how much more {X} has than {Y}.
    By how many dollars is {X} ahead of {Y}?
    ~ Than {Y}, how much more money does {X} have?
""")
ASK_NEED = clause("""
    {A} needs ${n}. How much more money does {A} need?
    How much more must {A} earn to have ${n}?
    A {s2} costs ${n}. How many dollars is {A} short?
    {A} wants to buy {o2} for ${n}. How many dollars are missing?
    ~ To have ${n} in all, how much more must {A} earn?
""")
ASIDE_MONEY = clause("""
    {D} has ${n}.
    {D} spends ${n} on {o2}.
    {D} earns ${n} an hour.
    {D} saves ${n} a week.
    ~ In the bag of {D} there is ${n}.
""")

_COMPARISONS = (
    Move(MORE, HAS_MORE), Move(FEWER, HAS_LESS), Move(TIMES_AS, HAS_TIMES), Move(PART_AS, HAS_PART), Move(HALF_AS, HAS_HALF),
)  # fmt: skip
EARN = start("Find the money from work", "pay", "{n} * {m}", lambda v: _PRODUCTS)
MONEY = Theme(
    (Move(plain(10, 90), HAS), Move(EARN, WORKS)),
    (Move(ADD, EARNS), Move(SUB, SPENDS), Move(SUB_BATCH, BUYS), Move(ADD_BATCH, SELLS), Move(HALF, SPENDS_HALF),
     Move(TIMES, GROWS), *_COMPARISONS, Move(BOTH, GETS_ALL),
     Move(BOTH, asks=ASK_BOTH), Move(GAP, asks=ASK_GAP), Move(NEED, asks=ASK_NEED)),
    ASK_NOW, unit="dollars", aside=ASIDE_MONEY,
)  # fmt: skip

PRICE = clause("""
    Each {s} costs ${n}. {A} buys {m} {o}.
    {A} buys {m} {o} for ${n} each.
    {A} buys {m} {o}. The price of each {s} is ${n}.
    The shop sells {o} for ${n} each, and {A} buys {m} of them.
    ~ {A} buys {m} {o} in a shop, and each {s} costs ${n}.
    ~ For ${n} each, {A} buys {m} {o} in the shop.
""")
PRICE_OF_MANY = clause("""
    {n} {o} cost ${m} in all. {A} buys {k} {o}.
    The shop sells {n} {o} for ${m}. {A} buys {k} of the {o}.
    {A} buys {k} {o}. The price of {n} {o} is ${m}.
    {C} buys {n} {o} for ${m}. At the same price {A} buys {k} {o}.
    ~ At a price of ${m} for {n} {o}, {A} buys {k} {o}.
""")
PRICE_OF_ONE = clause("""
    {A} buys one {s}. {n} {o} cost ${m} in all.
    The shop sells {n} {o} for ${m}. {A} buys one {s}.
    {C} buys {n} {o} for ${m}. At the same price {A} buys one {s}.
    {A} buys one {s}. The price of {n} {o} is ${m}.
    ~ At a price of ${m} for {n} {o}, {A} buys only one {s}.
""")
DEARER = clause("""
    {A} buys a {s2}. Each {s} costs ${n}, and a {s2} costs ${m} more than a {s}.
    A {s} costs ${n}. It costs ${m} less than a {s2}. {A} buys one {s2}.
    {A} buys one {s2}. A {s} costs ${n}, and this is ${m} less than the price of a {s2}.
    The price of a {s} is ${n}. The {s2} that {A} buys costs ${m} more.
    ~ The {s2} that {A} buys costs ${m} more than a {s}, and a {s} costs ${n}.
""")
CHEAPER = clause("""
    {A} buys a {s2}. Each {s} costs ${n}, and a {s2} costs ${m} less than a {s}.
    A {s} costs ${n}. It costs ${m} more than a {s2}. {A} buys one {s2}.
    {A} buys one {s2}. A {s} costs ${n}, and this is ${m} more than the price of a {s2}.
    The price of a {s} is ${n}. The {s2} that {A} buys costs ${m} less.
    ~ The {s2} that {A} buys costs ${m} less than a {s}, and a {s} costs ${n}.
""")
ALSO = clause("""
    {A} also buys a bag for ${n}.
    {A} then pays ${n} more for a box.
    Then {A} buys a book for ${n}.
    A bag for ${n} is what {A} also buys.
    ~ For ${n} {A} also buys a book.
""")
ALSO_MANY = clause("""
    {A} also buys {n} {o2} for ${m} each.
    Then {A} buys {n} {o2}. Each {s2} costs ${m}.
    {A} also pays ${m} for each of {n} {o2}.
    Each {s2} costs ${m}, and {A} buys {n} {o2} also.
    ~ For ${m} each, {A} also buys {n} {o2}.
""")
DISCOUNT = clause("""
    The shop takes ${n} off the price.
    {A} pays ${n} less because of a sale.
    {C} pays ${n} of the price for {A}.
    In the sale the price goes down by ${n}.
    ~ Because of a sale the shop takes ${n} off.
""")
HALF_PRICE = clause("""
    In the sale {A} pays only half of the price.
    The shop takes half off the price.
    {C} pays half of the price for {A}.
    Because of a sale {A} pays half.
    ~ Half of the price is what {A} pays in the sale.
""")
AGAIN = clause("""
    {A} buys all this {times}, for {C} also.
    After a week the price is {times} as much.
    {A} must pay {times} as much because of the day.
    The shop then wants {times} as much money.
    ~ {times} as much is what {A} must pay after a week.
""")
SPLITS = clause("""
    {n} friends share the price equally, and {A} is one of them.
    {A} pays only one of {n} equal parts of the price.
    {n} people pay equal parts, and one of them is {A}.
    {A} shares the price equally in {n} parts and pays one part.
    ~ One of {n} equal parts of the price is what {A} pays.
""")
PAYS_MORE = clause("""
    {B} pays ${n} more than {A}.
    {A} pays ${n} less than {B}.
    The things of {B} cost ${n} more than the things of {A}.
    {B} spends more than {A} by ${n}.
    ~ Than {A}, {B} pays ${n} more.
    ~ By ${n}, {A} spends less than {B}.
""")
PAYS_LESS = clause("""
    {B} pays ${n} less than {A}.
    {A} pays ${n} more than {B}.
    The things of {B} cost ${n} less than the things of {A}.
    {B} spends less than {A} by ${n}.
    ~ Than {A}, {B} pays ${n} less.
    ~ By ${n}, {A} spends more than {B}.
""")
PAYS_TIMES = clause("""
    {B} pays {times} as much as {A}.
    The things of {B} cost {times} as much as the things of {A}.
    For each dollar that {A} pays, {B} pays ${n}.
    {B} spends {times} as much money as {A}.
    ~ {times} as much as {A} pays is what {B} spends.
""")
PAYS_PART = clause("""
    {A} pays {times} as much as {B}.
    The things of {A} cost {times} as much as the things of {B}.
    For each dollar that {B} pays, {A} pays ${n}.
    {A} spends {times} as much money as {B}.
    ~ {times} as much as {B} spends is what {A} pays.
""")
ASK_PAY = clause("""
    How much does {A} pay in all?
    How many dollars must {A} pay?
    Find the money that {A} spends in all.
    What is the amount of money {A} pays?
    ~ In all, how much money does {A} spend?
""")
ASK_PAY_BOTH = clause("""
    How much do {P} and {A} pay together?
    How many dollars do {A} and {P} spend in all?
    Find the money that {P} and {A} spend together.
    What is the amount of money {P} and {A} pay together?
    ~ Together, how much money do {A} and {P} spend?
""")
ASK_PAY_GAP = clause("""
    How much more does {X} pay than {Y}?
    How many dollars less does {Y} pay than {X}?
    Find how much more {X} spends than {Y}.
    By how many dollars does {X} spend more than {Y}?
    ~ Than {Y}, how much more does {X} pay?
""")
ASK_CHANGE = clause("""
    {A} pays with ${n}. How much money does {A} get back?
    {A} has ${n}. How much money is left?
    {A} gives the shop ${n}. How many dollars must {A} get back?
    How much is left if {A} has ${n} to spend?
    ~ How much money does {A} get back from ${n}?
""")

FIND_EACH = ("Find the price of each {s}", "each", "{m} // {n}")
_MANY = [(n, n * each) for n in range(2, 10) for each in range(2, 13)]
_MANY_THEN = [(n, m, k) for n, m in _MANY for k in range(2, 10) if k != n]
PER_ONE = Op((FIND_EACH,), lambda v: _MANY)
PER_MANY = Op((FIND_EACH, ("Find the cost of the {o}", "cost", "{r} * {k}")), lambda v: _MANY_THEN)
PER_EACH = start("Find the cost of the {o}", "cost", "{n} * {m}", lambda v: _PRODUCTS)
PLUS = start("Find the price of the {s2}", "price", "{n} + {m}", lambda v: [(n, m) for n in range(5, 41) for m in range(2, 21)])
MINUS = start("Find the price of the {s2}", "price", "{n} - {m}", lambda v: [(n, m) for n in range(8, 61) for m in range(2, n - 3)])
UNIT_PRICES = Theme(
    (Move(PER_EACH, PRICE), Move(PER_ONE, PRICE_OF_ONE), Move(PER_MANY, PRICE_OF_MANY), Move(PLUS, DEARER), Move(MINUS, CHEAPER)),
    (Move(ADD, ALSO), Move(ADD_BATCH, ALSO_MANY), Move(SUB, DISCOUNT), Move(HALF, HALF_PRICE), Move(TIMES, AGAIN),
     Move(SPLIT, SPLITS), Move(MORE, PAYS_MORE), Move(FEWER, PAYS_LESS), Move(TIMES_AS, PAYS_TIMES), Move(PART_AS, PAYS_PART),
     Move(BOTH, asks=ASK_PAY_BOTH), Move(GAP, asks=ASK_PAY_GAP), Move(NEED, asks=ASK_CHANGE)),
    ASK_PAY, unit="dollars", aside=ASIDE_MONEY,
)  # fmt: skip
