"""Rates: objects made an hour, miles driven an hour."""

from __future__ import annotations

from rstar_mini.problems.families.inventory import ASIDE_HAS, ASK_NOW, BATCHES, CHANGES, COMPARISONS, ENDS
from rstar_mini.problems.moves import (
    ADD,
    ADD_BATCH,
    BOTH,
    FEWER,
    GAP,
    HALF_AS,
    MORE,
    NEED,
    PART_AS,
    TIMES_AS,
    Move,
    Op,
    Theme,
    divisor,
    fixed,
    grid,
    single,
)
from rstar_mini.problems.story import clause

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
    How many hours does it take {E} to make as many as {A} at {n} {o} an hour?
    {E} makes {n} {o} an hour. How many hours does {E} need for as many as {A}?
    Find the hours that {E} needs to make as many as {A} at {n} {o} an hour.
    {A} sells {n} {o} an hour. In how many hours are all {o} sold?
    ~ At {n} {o} an hour, how many hours does {E} need to make as many as {A}?
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
    ~ The miles of {A} taken {times} make the trip of {B}.
""")
FAR_PART = clause("""
    {A} drives {times} as far as {B}.
    {A} goes {times} as many miles as {B}.
    The trip of {A} is {times} as far as the trip of {B}.
    For each mile of {B}, {A} drives {n} miles.
    ~ The miles of {B} taken {times} make the trip of {A}.
""")
FAR_HALF = clause("""
    {B} drives half as far as {A}.
    {B} goes half as many miles as {A}.
    The trip of {B} is only half as far as the trip of {A}.
    {B} drives one half of the miles of {A}.
    ~ Half of the miles of {A} make the trip of {B}.
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
    The whole trip is {n} miles. How many miles are left for {A}?
    {A} needs to go {n} miles. How many miles more must {A} go?
    How many miles is {A} short of {n} miles?
    {A} wants to go {n} miles in all. Find the miles that are left.
    ~ How many miles are left for {A} if the whole trip is {n} miles?
""")
ASK_HOURS = clause("""
    How many hours does the trip of {A} take {E} at {n} miles an hour?
    {E} drives as far as {A} at {n} miles an hour. How many hours does it take?
    Find the hours that {E} needs for the trip of {A} at {n} miles an hour.
    {E} makes {n} miles an hour. How many hours does the way of {A} take?
    ~ At {n} miles an hour, how many hours does {E} need for the trip of {A}?
""")
ASIDE_FAR = clause("""
    {D} drives {n} miles an hour.
    {D} drives for {n} miles.
    {D} stops after {n} miles.
    The trip of {D} is {n} miles.
    ~ After {n} miles {D} stops.
""")


FIND_SPEED = ("Find the {u} each hour", "speed", "{n} // {m}")
_QUOTIENTS = [(n * m, m) for n in range(3, 21) for m in range(2, 9)]
_TRIPS = [(n, m, k) for n, m in _QUOTIENTS for k in range(2, 7) if k != m]
AT_SPEED = single("Multiply speed and hours", "way", "{n} * {m}", grid(range(3, 16), range(2, 9)))
FROM_SPEED = Op((FIND_SPEED, ("Multiply speed and hours", "way", "{r} * {k}")), fixed(_TRIPS))
HOURS = single("Divide by the speed", "hours", "{v} // {n}", divisor)
WORK = Theme(
    (Move(AT_SPEED, MAKES), Move(FROM_SPEED, MAKES_MANY)),
    (*CHANGES, *BATCHES, *COMPARISONS, *ENDS, Move(HOURS, asks=ASK_MAKE_HOURS)),
    ASK_NOW,
    aside=ASIDE_HAS,
)
DRIVING = Theme(
    (Move(AT_SPEED, DRIVES), Move(Op((FIND_SPEED,), fixed(_QUOTIENTS)), DRIVES_ONE), Move(FROM_SPEED, DRIVES_MANY)),
    (
        Move(ADD, DRIVES_ON),
        Move(ADD_BATCH, DRIVES_ON_HOURS),
        Move(MORE, FARTHER),
        Move(FEWER, NEARER),
        Move(TIMES_AS, FAR_TIMES),
        Move(PART_AS, FAR_PART),
        Move(HALF_AS, FAR_HALF),
        Move(BOTH, asks=ASK_FAR_BOTH),
        Move(GAP, asks=ASK_FAR_GAP),
        Move(NEED, asks=ASK_FAR_LEFT),
        Move(HOURS, asks=ASK_HOURS),
    ),
    ASK_FAR,
    unit="miles",
    aside=ASIDE_FAR,
)
