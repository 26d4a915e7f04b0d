"""Ages: now, years ago and in some years, told by comparing people."""

from __future__ import annotations

from rstar_mini.problems.moves import (
    BOTH,
    FEWER,
    GAP,
    HALF_AS,
    MORE,
    PART_AS,
    TIMES_AS,
    Move,
    Op,
    Theme,
    above,
    down,
    grid,
    plain,
    span,
)
from rstar_mini.problems.story import clause

AGE = clause("""
    {A} is {n} years old.
    The age of {A} is {n} years.
    Today {A} is {n} years old.
    {A} has the age of {n} years.
    This year {A} is {n} years old.
    ~ {A} is now {n} years old.
""")
WAS = clause("""
    {m} years ago {A} was {n} years old.
    The age of {A} was {n} years {m} years ago.
    {A} was {n}, but that was {m} years ago.
    {A} was {n} years old, and that was {m} years ago.
    It is {m} years ago that {A} was {n} years old.
    ~ {A} was {n} years old {m} years ago.
""")
WILL_BE = clause("""
    In {m} years {A} will be {n} years old.
    The age of {A} will be {n} years in {m} years.
    {A} will be {n}, but only in {m} years.
    {A} will be {n} years old, and that is in {m} years.
    It takes {m} years before {A} is {n} years old.
    ~ {A} will be {n} years old in {m} years.
""")
OLDER = clause("""
    {B} is {n} years older than {A}.
    The age of {B} is {n} years more than the age of {A}.
    {B} is now {n} years older than {A} is.
    {B} was born {n} years before {A}.
    The years of {B} are {n} more than the years of {A}.
    ~ {B} is {n} years older than {A} is now.
""")
YOUNGER = clause("""
    {B} is {n} years younger than {A}.
    The age of {B} is {n} years less than the age of {A}.
    {B} is now {n} years younger than {A} is.
    {B} was born {n} years after {A}.
    The years of {B} are {n} less than the years of {A}.
    ~ {B} is {n} years younger than {A} is now.
""")
OLD_TIMES = clause("""
    {B} is {times} as old as {A}.
    The age of {B} is {times} the age of {A}.
    For each year of {A}, {B} has {n} years.
    {B} has {times} the years of {A}.
    The years of {B} are {times} as many as the years of {A}.
    ~ {B} is now {times} as old as {A} is.
""")
OLD_PART = clause("""
    {A} is {times} as old as {B}.
    The age of {A} is {times} the age of {B}.
    For each year of {B}, {A} has {n} years.
    ~ {A} is now {times} as old as {B} is.
""")
OLD_HALF = clause("""
    {B} is half as old as {A}.
    The age of {B} is half the age of {A}.
    {B} has one half of the years of {A}.
    {B} has half the years of {A}.
    The years of {B} are half as many as the years of {A}.
    ~ {B} is now only half as old as {A} is.
""")
ASK_AGE = clause("""
    How old is {A} now?
    Find the age of {A} today.
    What is the age of {A} in years?
    How many years does {A} have now?
    Tell how old {A} is today.
    ~ How many years old is {A}?
""")
ASK_LATER = clause("""
    How old will {A} be in {n} years?
    In {n} years, how old will {A} be?
    What will the age of {A} be after {n} years?
    Tell how old {A} will be in {n} years.
    After {n} more years, what is the age of {A}?
    ~ Find the age of {A} in {n} years.
""")
ASK_AGO = clause("""
    How old was {A} {n} years ago?
    {n} years ago, how old was {A}?
    What was the age of {A} {n} years before today?
    Tell how old {A} was {n} years ago.
    What was the age of {A} when {A} was {n} years younger?
    ~ Find the age of {A} {n} years ago.
""")
ASK_UNTIL = clause("""
    In how many years will {A} be {n} years old?
    How many years are left before {A} is {n} years old?
    {A} will be {n} years old after how many years?
    How many years must {A} wait to be {n} years old?
    {A} wants to be {n} years old. How many years are left?
    ~ Find in how many years {A} will be {n}.
""")
ASK_AGES = clause("""
    How old are {A} and {P} together?
    Find the sum of the ages of {A} and {P}.
    How many years are {P} and {A} old in all?
    ~ What is the sum of the ages of {P} and {A}?
""")
ASK_AGE_GAP = clause("""
    How many years older is {X} than {Y}?
    Find how much older {X} is than {Y}.
    By how many years is {Y} younger than {X}?
    ~ How many years younger is {Y} than {X}?
""")
ASIDE_AGE = clause("""
    {D} is {n} years old.
    In {n} years {D} will be very old.
    {D} was born {n} years ago.
    This year {D} is {n} years old.
    {D} will be old in {n} years.
    ~ {D} is {n} years old today.
""")
LATER = Op("later", "{v} + {n}", span(2, 30))
AGO = Op("past", "{v} - {n}", down)
UNTIL = Op("wait", "{n} - {v}", above)
AGES = Theme(
    (
        Move(plain(4, 60), AGE),
        Move(Op("now", "{n} + {m}", grid(range(5, 41), range(2, 21))), WAS),
        Move(Op("now", "{n} - {m}", grid(range(30, 61), range(2, 28))), WILL_BE),
    ),
    (
        Move(MORE, OLDER),
        Move(FEWER, YOUNGER),
        Move(TIMES_AS, OLD_TIMES),
        Move(PART_AS, OLD_PART),
        Move(HALF_AS, OLD_HALF),
        Move(LATER, asks=ASK_LATER),
        Move(AGO, asks=ASK_AGO),
        Move(UNTIL, asks=ASK_UNTIL),
        Move(BOTH, asks=ASK_AGES),
        Move(GAP, asks=ASK_AGE_GAP),
    ),
    ASK_AGE,
    unit="age",
    aside=ASIDE_AGE,
    high=120,
)
