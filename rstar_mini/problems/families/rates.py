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
)
from rstar_mini.problems.story import clause

MAKES = clause("""
    {A} makes {n} {o} an hour for {m} hours.
    For {m} hours {A} makes {n} {o} an hour.
    Each hour {A} makes {n} {o}. After {m} hours {A} stops.
    {A} works for {m} hours and makes {n} {o} an hour.
    In each of {m} hours {A} makes {n} {o}.
    ~ {A} makes {n} {o} each hour and stops after {m} hours.
""")
MAKES_MANY = clause("""
    {C} makes {n} {o} in {m} hours. At the same speed {A} works for {k} hours.
    {A} works for {k} hours. At this speed {C} makes {n} {o} in {m} hours.
    It takes {C} {m} hours to make {n} {o}. {A} works at the same speed for {k} hours.
    {C} needs {m} hours for {n} {o}. {A} works at this speed for {k} hours.
    In {m} hours {C} makes {n} {o}. {A} works for {k} hours at the same speed.
    ~ At the speed of {n} {o} in {m} hours {A} works for {k} hours.
""")
ASK_MAKE_HOURS = clause("""
    How many hours does it take {E} to make as many as {A} at {n} {o} an hour?
    {E} makes {n} {o} an hour. How many hours does {E} need for as many as {A}?
    {A} sells {n} {o} an hour. In how many hours are all {o} sold?
    {E} makes {n} {o} an hour. Find the hours that {E} needs for as many as {A}.
    At {n} {o} an hour, how many hours does {E} need to make as many as {A}?
    ~ Find the hours that {E} needs to make as many as {A} at {n} {o} an hour.
""")
DRIVES = clause("""
    {A} drives {n} miles an hour for {m} hours.
    For {m} hours {A} drives {n} miles an hour.
    Each hour {A} drives {n} miles. After {m} hours {A} stops.
    {A} drives for {m} hours at {n} miles an hour.
    In each of {m} hours {A} drives {n} miles.
    ~ {A} drives {n} miles each hour and stops after {m} hours.
""")
DRIVES_ONE = clause("""
    In {m} hours {A} drives {n} miles, the same each hour. {A} starts with one hour.
    {A} drives for one hour. At this speed {C} drives {n} miles in {m} hours.
    It takes {C} {m} hours for {n} miles. {A} drives at the same speed for one hour.
    {C} needs {m} hours for {n} miles. {A} drives at this speed for one hour.
    In {m} hours {C} drives {n} miles. {A} drives for one hour at the same speed.
    ~ {C} drives {n} miles in {m} hours. At the same speed {A} drives for one hour.
""")
DRIVES_MANY = clause("""
    {C} drives {n} miles in {m} hours. At the same speed {A} drives for {k} hours.
    {A} drives for {k} hours. At this speed {C} drives {n} miles in {m} hours.
    It takes {C} {m} hours for {n} miles. {A} drives at the same speed for {k} hours.
    {C} needs {m} hours for {n} miles. {A} drives at this speed for {k} hours.
    In {m} hours {C} drives {n} miles. {A} drives for {k} hours at the same speed.
    ~ At the speed of {n} miles in {m} hours {A} drives for {k} hours.
""")
DRIVES_ON = clause("""
    Then {A} drives {n} miles more.
    After a stop {A} drives {n} miles.
    {A} also drives {n} miles on the last day.
    {A} then goes {n} miles farther.
    The trip goes on, and {A} drives {n} miles more.
    ~ {A} drives {n} more miles with {C}.
""")
DRIVES_ON_HOURS = clause("""
    Then {A} drives {n} hours more at {m} miles an hour.
    After a stop {A} drives {m} miles an hour for {n} hours.
    {A} also drives {m} miles on each of {n} days.
    ~ {A} drives {n} more hours with {C}, {m} miles each hour.
""")
FARTHER = clause("""
    {B} drives {n} miles more than {A}.
    {B} goes {n} miles farther than {A}.
    The trip of {B} is {n} miles more than the trip of {A}.
    {B} is {n} miles ahead of {A}.
    The way of {B} is {n} miles more than the way of {A}.
    ~ {B} goes {n} miles more than {A}.
""")
NEARER = clause("""
    {B} drives {n} miles less than {A}.
    {B} goes {n} miles less than {A} goes.
    The trip of {B} is {n} miles less than the trip of {A}.
    {B} is {n} miles behind {A}.
    The way of {B} is {n} miles less than the way of {A}.
    ~ {B} goes {n} miles less than {A}.
""")
FAR_TIMES = clause("""
    {B} drives {times} as far as {A}.
    The trip of {B} is {times} as far as the trip of {A}.
    For each mile of {A}, {B} drives {n} miles.
    The way of {B} is {times} as far as the way of {A}.
    {B} drives {times} the miles of {A}.
    ~ {B} goes {times} as many miles as {A}.
""")
FAR_PART = clause("""
    {A} drives {times} as far as {B}.
    The trip of {A} is {times} as far as the trip of {B}.
    For each mile of {B}, {A} drives {n} miles.
    ~ {A} goes {times} as many miles as {B}.
""")
FAR_HALF = clause("""
    {B} drives half as far as {A}.
    The trip of {B} is only half as far as the trip of {A}.
    {B} drives one half of the miles of {A}.
    The way of {B} is half as far as the way of {A}.
    {B} drives half the miles of {A}.
    ~ {B} goes half as many miles as {A}.
""")
ASK_FAR = clause("""
    How far does {A} drive in all?
    How many miles is the whole trip of {A}?
    What is the number of miles {A} drives in the end?
    How many miles does {A} drive on the whole trip?
    Tell how far {A} drives.
    ~ Find how far {A} goes in all.
""")
ASK_FAR_BOTH = clause("""
    How many miles do {P} and {A} make together?
    Find the number of miles of {P} and {A} together.
    What is the number of miles {A} and {P} make in all?
    ~ How far do {A} and {P} go in all?
""")
ASK_FAR_GAP = clause("""
    How many more miles does {X} make than {Y}?
    Find how much farther {X} goes than {Y}.
    By how many miles is {X} ahead of {Y}?
    ~ How many miles less does {Y} make than {X}?
""")
ASK_FAR_LEFT = clause("""
    The whole trip is {n} miles. How many miles are left for {A}?
    How many miles is {A} short of {n} miles?
    {A} wants to go {n} miles in all. Find the miles that are left.
    {A} wants to go {n} miles. How many miles must {A} still drive?
    How many miles must {A} still go to reach {n} miles?
    ~ {A} needs to go {n} miles. How many miles more must {A} go?
""")
ASK_HOURS = clause("""
    How many hours does the trip of {A} take {E} at {n} miles an hour?
    Find the hours that {E} needs for the trip of {A} at {n} miles an hour.
    {E} makes {n} miles an hour. How many hours does the way of {A} take?
    {E} drives {n} miles an hour. Find the hours that {E} needs for the way of {A}.
    At {n} miles an hour, how many hours does {E} need for the trip of {A}?
    ~ {E} drives as far as {A} at {n} miles an hour. How many hours does it take?
""")
ASIDE_FAR = clause("""
    {D} drives {n} miles an hour.
    {D} stops after {n} miles.
    The trip of {D} is {n} miles.
    {D} drives {n} miles.
    In each hour {D} drives {n} miles.
    ~ {D} drives for {n} miles.
""")


SPEED = ("speed", "{n} // {m}")
_QUOTIENTS = [(n * m, m) for n in range(3, 21) for m in range(2, 9)]
_TRIPS = [(n, m, k) for n, m in _QUOTIENTS for k in range(2, 7) if k != m]
AT_SPEED = Op("way", "{n} * {m}", grid(range(3, 16), range(2, 9)))
FROM_SPEED = Op(*SPEED, fixed(_TRIPS), then=(("Multiply speed and hours", "way", "{r} * {k}"),), hard=True)
HOURS = Op("hours", "{v} // {n}", divisor)
WORK = Theme(
    (Move(AT_SPEED, MAKES), Move(FROM_SPEED, MAKES_MANY)),
    (*CHANGES, *BATCHES, *COMPARISONS, *ENDS, Move(HOURS, asks=ASK_MAKE_HOURS)),
    ASK_NOW,
    aside=ASIDE_HAS,
)
DRIVING = Theme(
    (Move(AT_SPEED, DRIVES), Move(Op(*SPEED, fixed(_QUOTIENTS)), DRIVES_ONE), Move(FROM_SPEED, DRIVES_MANY)),
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
