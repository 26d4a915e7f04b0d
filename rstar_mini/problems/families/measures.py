"""Families about rates (work and driving) and ages."""

from __future__ import annotations

from rstar_mini.problems.families.owning import ASIDE_HAS, ASK_NOW, BATCHES, CHANGES, COMPARISONS, ENDS
from rstar_mini.problems.moves import (
    ADD, ADD_BATCH, BOTH, FEWER, GAP, HALF_AS, MORE, NEED, PART_AS, TIMES_AS, Move, Numbers, Op, Theme, plain, start,
)
from rstar_mini.problems.story import clause

_SMALL = [(n, m) for n in range(3, 16) for m in range(2, 9) if n != m]
_SUMS = [(n, m) for n in range(5, 41) for m in range(2, 21)]
_DIFFERENCES = [(n, m) for n in range(8, 61) for m in range(2, n - 3)]
_QUOTIENTS = [(n * m, m) for n in range(3, 21) for m in range(2, 9)]

MAKES = clause("""
    {A} makes {n} {o} an hour for {m} hours.
    For {m} hours {A} makes {n} {o} an hour.
    {A} makes {n} {o} each hour and stops after {m} hours.
    Each hour {A} makes {n} {o}. After {m} hours {A} stops.
    ~ {A} stops after {m} hours and makes {n} {o} an hour.
    ~ After {m} hours of {n} {o} an hour {A} stops.
""")
MAKES_MANY = clause("""
    {C} makes {n} {o} in {m} hours. At the same speed {A} works for {k} hours.
    {A} works for {k} hours. At this speed {C} makes {n} {o} in {m} hours.
    It takes {C} {m} hours to make {n} {o}. {A} works at the same speed for {k} hours.
    At the speed of {n} {o} in {m} hours {A} works for {k} hours.
    ~ For {k} hours {A} works at the same speed as {C}, and {C} makes {n} {o} in {m} hours.
""")
ASK_MAKE_HOURS = clause("""
    How many hours does it take {C} to make as many at {n} {o} an hour?
    {C} makes {n} {o} an hour. How many hours does {C} need for as many {o}?
    Find the hours that {C} needs to make as many at {n} {o} an hour.
    {A} sells {n} {o} an hour. In how many hours are all {o} gone?
    ~ At {n} {o} an hour, in how many hours does {A} sell all {o}?
""")
DRIVES = clause("""
    {A} drives {n} miles an hour for {m} hours.
    For {m} hours {A} drives {n} miles an hour.
    {A} drives {n} miles each hour and stops after {m} hours.
    Each hour {A} drives {n} miles. After {m} hours {A} stops.
    ~ {A} stops after {m} hours and drives {n} miles an hour.
    ~ After {m} hours of {n} miles an hour {A} stops.
""")
DRIVES_ONE = clause("""
    In {m} hours {A} drives {n} miles, the same each hour. {A} starts with one hour.
    {C} drives {n} miles in {m} hours. At the same speed {A} drives for one hour.
    {A} drives for one hour. At this speed {C} drives {n} miles in {m} hours.
    It takes {C} {m} hours for {n} miles. {A} drives at the same speed for one hour.
    ~ For one hour {A} drives at the same speed as {C}, and {C} drives {n} miles in {m} hours.
""")
DRIVES_MANY = clause("""
    {C} drives {n} miles in {m} hours. At the same speed {A} drives for {k} hours.
    {A} drives for {k} hours. At this speed {C} drives {n} miles in {m} hours.
    It takes {C} {m} hours for {n} miles. {A} drives at the same speed for {k} hours.
    At the speed of {n} miles in {m} hours {A} drives for {k} hours.
    ~ For {k} hours {A} drives at the same speed as {C}, and {C} drives {n} miles in {m} hours.
""")
DRIVES_ON = clause("""
    Then {A} drives {n} miles more.
    {A} drives {n} more miles with {C}.
    After a stop {A} drives {n} miles.
    {A} also drives {n} miles on the last day.
    ~ With {C}, {A} drives {n} miles more.
""")
DRIVES_ON_HOURS = clause("""
    Then {A} drives {n} hours more at {m} miles an hour.
    After a stop {A} drives {m} miles an hour for {n} hours.
    {A} also drives {m} miles on each of {n} days.
    {A} drives {n} more hours with {C}, {m} miles each hour.
    ~ At {m} miles an hour {A} then drives {n} hours more.
""")
FARTHER = clause("""
    {B} drives {n} miles more than {A}.
    {A} drives {n} miles less than {B}.
    {B} goes {n} miles farther than {A}.
    The trip of {B} is {n} miles more than the trip of {A}.
    ~ Than {A}, {B} goes {n} miles farther.
    ~ By {n} miles {A} drives less than {B}.
""")
NEARER = clause("""
    {B} drives {n} miles less than {A}.
    {A} drives {n} miles more than {B}.
    {A} goes {n} miles farther than {B}.
    The trip of {B} is {n} miles less than the trip of {A}.
    ~ Than {B}, {A} goes {n} miles farther.
    ~ By {n} miles {B} drives less than {A}.
""")
FAR_TIMES = clause("""
    {B} drives {times} as far as {A}.
    {B} goes {times} as many miles as {A}.
    The trip of {B} is {times} as far as the trip of {A}.
    For each mile of {A}, {B} drives {n} miles.
    ~ {times} as far as {A} is the trip of {B}.
""")
FAR_PART = clause("""
    {A} drives {times} as far as {B}.
    {A} goes {times} as many miles as {B}.
    The trip of {A} is {times} as far as the trip of {B}.
    For each mile of {B}, {A} drives {n} miles.
    ~ {times} as far as {B} is the trip of {A}.
""")
FAR_HALF = clause("""
    {B} drives half as far as {A}.
    {B} goes half as many miles as {A}.
    The trip of {B} is only half as far as the trip of {A}.
    {B} drives one half of the miles of {A}.
    ~ Half as far as {A} is the trip of {B}.
""")
ASK_FAR = clause("""
    How far does {A} drive in all?
    How many miles is the whole trip of {A}?
    Find how far {A} goes in all.
    What is the number of miles {A} drives in the end?
    ~ In the end, how many miles does {A} drive?
    ~ In all, how far does {A} go?
""")
ASK_FAR_BOTH = clause("""
    How many miles do {P} and {A} make together?
    How far do {A} and {P} go in all?
    Find the number of miles of {P} and {A} together.
    What is the number of miles {A} and {P} make in all?
    ~ Together, how many miles do {P} and {A} go?
""")
ASK_FAR_GAP = clause("""
    How many more miles does {X} make than {Y}?
    How many miles less does {Y} make than {X}?
    Find how much farther {X} goes than {Y}.
    By how many miles is {X} ahead of {Y}?
    ~ Than {Y}, how many more miles does {X} make?
""")
ASK_FAR_LEFT = clause("""
    The whole trip is {n} miles. How many miles are left?
    {A} needs to go {n} miles. How many miles more must {A} go?
    How many miles is {A} short of {n} miles?
    {A} wants to go {n} miles in all. Find the miles that are left.
    ~ How many miles are left if the whole trip is {n} miles?
""")
ASK_HOURS = clause("""
    How many hours does all this take {C} at {n} miles an hour?
    {C} drives as far at {n} miles an hour. How many hours does it take?
    Find the hours that {C} needs for this at {n} miles an hour.
    {C} makes {n} miles an hour. How many hours for the same way?
    ~ At {n} miles an hour, how many hours does {C} need for all this?
""")
ASIDE_FAR = clause("""
    {D} drives {n} miles an hour.
    {D} drives for {n} miles.
    {D} stops after {n} miles.
    The trip of {D} is {n} miles.
    ~ After {n} miles {D} stops.
""")


def _divisors(v: int) -> list[Numbers]:
    return [(n,) for n in range(2, 31) if v % n == 0 and v // n > 1]


FIND_SPEED = ("Find the {u} each hour", "speed", "{n} // {m}")
_TRIPS = [(n, m, k) for n, m in _QUOTIENTS for k in range(2, 7) if k != m]
AT_SPEED = start("Multiply speed and hours", "way", "{n} * {m}", lambda v: _SMALL)
FROM_SPEED = Op((FIND_SPEED, ("Multiply speed and hours", "way", "{r} * {k}")), lambda v: _TRIPS)
HOURS = Op((("Divide by the speed", "hours", "{v} // {n}"),), _divisors)
WORK = Theme(
    (Move(AT_SPEED, MAKES), Move(FROM_SPEED, MAKES_MANY)),
    (*CHANGES, *BATCHES, *COMPARISONS, *ENDS, Move(HOURS, asks=ASK_MAKE_HOURS)),
    ASK_NOW, aside=ASIDE_HAS,
)  # fmt: skip
DRIVING = Theme(
    (Move(AT_SPEED, DRIVES), Move(Op((FIND_SPEED,), lambda v: _QUOTIENTS), DRIVES_ONE),
     Move(FROM_SPEED, DRIVES_MANY)),
    (Move(ADD, DRIVES_ON), Move(ADD_BATCH, DRIVES_ON_HOURS), Move(MORE, FARTHER), Move(FEWER, NEARER),
     Move(TIMES_AS, FAR_TIMES), Move(PART_AS, FAR_PART), Move(HALF_AS, FAR_HALF),
     Move(BOTH, asks=ASK_FAR_BOTH), Move(GAP, asks=ASK_FAR_GAP), Move(NEED, asks=ASK_FAR_LEFT), Move(HOURS, asks=ASK_HOURS)),
    ASK_FAR, unit="miles", aside=ASIDE_FAR,
)  # fmt: skip

AGE = clause("""
    {A} is {n} years old.
    {A} is now {n} years old.
    The age of {A} is {n} years.
    Today {A} is {n} years old.
    ~ {n} years is the age of {A} today.
    ~ Now the age of {A} is {n}.
""")
WAS = clause("""
    {m} years ago {A} was {n} years old.
    {A} was {n} years old {m} years ago.
    The age of {A} was {n} years {m} years ago.
    {A} was {n}, but that was {m} years ago.
    ~ {n} years was the age of {A} {m} years ago.
""")
WILL_BE = clause("""
    In {m} years {A} will be {n} years old.
    {A} will be {n} years old in {m} years.
    The age of {A} will be {n} years in {m} years.
    {A} will be {n}, but only in {m} years.
    ~ {n} years will be the age of {A} in {m} years.
""")
OLDER = clause("""
    {B} is {n} years older than {A}.
    {A} is {n} years younger than {B}.
    The age of {B} is {n} years more than the age of {A}.
    {B} was {n} years old on the day {A} was born.
    ~ Than {A}, {B} is {n} years older.
    ~ By {n} years {A} is younger than {B}.
""")
YOUNGER = clause("""
    {B} is {n} years younger than {A}.
    {A} is {n} years older than {B}.
    The age of {B} is {n} years less than the age of {A}.
    {A} was {n} years old on the day {B} was born.
    ~ Than {A}, {B} is {n} years younger.
    ~ By {n} years {A} is older than {B}.
""")
OLD_TIMES = clause("""
    {B} is {times} as old as {A}.
    The age of {B} is {times} the age of {A}.
    {B} is now {times} as old as {A} is.
    For each year of {A}, {B} has {n} years.
    ~ {times} as old as {A} is the age of {B}.
""")
OLD_PART = clause("""
    {A} is {times} as old as {B}.
    The age of {A} is {times} the age of {B}.
    {A} is now {times} as old as {B} is.
    For each year of {B}, {A} has {n} years.
    ~ {times} as old as {B} is the age of {A}.
""")
OLD_HALF = clause("""
    {B} is half as old as {A}.
    The age of {B} is half the age of {A}.
    {B} is now only half as old as {A} is.
    {B} has one half of the years of {A}.
    ~ Half as old as {A} is the age of {B}.
""")
ASK_AGE = clause("""
    How old is {A} now?
    How many years old is {A}?
    Find the age of {A} today.
    What is the age of {A} in years?
    ~ In years, how old is {A} today?
    ~ Today {A} is how many years old?
""")
ASK_LATER = clause("""
    How old will {A} be in {n} years?
    In {n} years, how old will {A} be?
    Find the age of {A} in {n} years.
    What will the age of {A} be after {n} years?
    ~ After {n} more years, how old will {A} be?
""")
ASK_AGO = clause("""
    How old was {A} {n} years ago?
    {n} years ago, how old was {A}?
    Find the age of {A} {n} years ago.
    What was the age of {A} {n} years before today?
    ~ How many years old was {A} {n} years before today?
""")
ASK_UNTIL = clause("""
    In how many years will {A} be {n} years old?
    How many years are left before {A} is {n} years old?
    Find in how many years {A} will be {n}.
    {A} will be {n} years old after how many years?
    ~ Before {A} is {n} years old, how many years are left?
""")
ASK_AGES = clause("""
    How old are {A} and {P} together?
    What is the sum of the ages of {P} and {A}?
    Find the sum of the ages of {A} and {P}.
    How many years are {P} and {A} old in all?
    ~ Together, how many years old are {P} and {A}?
""")
ASK_AGE_GAP = clause("""
    How many years older is {X} than {Y}?
    How many years younger is {Y} than {X}?
    Find how much older {X} is than {Y}.
    By how many years is {Y} younger than {X}?
    ~ Than {Y}, how many years older is {X}?
""")
ASIDE_AGE = clause("""
    {D} is {n} years old.
    The age of {D} is {n} years.
    In {n} years {D} will be very old.
    {D} was born {n} years ago.
    ~ {n} years ago {D} was born.
""")
LATER = Op((("Count on to that year", "later", "{v} + {n}"),), lambda v: [(n,) for n in range(2, 31)])
AGO = Op((("Count back to that year", "past", "{v} - {n}"),), lambda v: [(n,) for n in range(2, min(v - 1, 41))])
UNTIL = Op((("Find the years until then", "wait", "{n} - {v}"),), lambda v: [(n,) for n in range(v + 2, v + 31)])
AGES = Theme(
    (Move(plain(4, 60), AGE), Move(start("Go on to this year", "now", "{n} + {m}", lambda v: _SUMS), WAS),
     Move(start("Go back to this year", "now", "{n} - {m}", lambda v: _DIFFERENCES), WILL_BE)),
    (Move(MORE, OLDER), Move(FEWER, YOUNGER), Move(TIMES_AS, OLD_TIMES), Move(PART_AS, OLD_PART), Move(HALF_AS, OLD_HALF),
     Move(LATER, asks=ASK_LATER), Move(AGO, asks=ASK_AGO), Move(UNTIL, asks=ASK_UNTIL), Move(BOTH, asks=ASK_AGES),
     Move(GAP, asks=ASK_AGE_GAP)),
    ASK_AGE, unit="age", aside=ASIDE_AGE, high=120,
)  # fmt: skip
