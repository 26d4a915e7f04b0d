"""The names of units: symbols and prefixes as the SI writes them, English words, currencies and scale words."""

from __future__ import annotations

SCALES = {
    "dozen": 12,
    "hundred": 100,
    "thousand": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "crore": 10**7,
    "billion": 10**9,
    "trillion": 10**12,
}
CURRENCIES = "$€£¥₹₩₽¢"
_PREFIXES = dict(zip("kMGThcdmunp", "kilo mega giga tera hecto centi deci milli micro nano pico".split(), strict=True))
# One unit a line: its symbol, the prefixes it takes ("-" for none), and its other names in the singular.
_UNITS = """
m kcdmun meter metre
g kcdmun gram gramme
s munp second sec
L khcdmu l liter litre
Hz kMGTm hertz
J kMGTm joule
W kMGTmu watt
V kMmu volt
A kmun ampere amp
N kMmu newton
Pa kMGh pascal
eV kMGTm electronvolt
Wh kMGT -
Ah km -
VA kM -
cal k calorie
Cal k -
mol kmun mole
ohm kM -
F munp farad
H mu henry
T mu tesla
C mun coulomb
K m kelvin
B kMGT byte
bit kMG -
b - -
bps kMG -
bar m -
t kM tonne
dB - decibel
Bq kM becquerel
Sv mu sievert
Å - angstrom
in - inch inches
ft - foot feet
yd - yard
mi - mile
nmi - -
ly - -
acre - -
ha - hectare
lb - lbs
lbf - -
pound - -
oz - ounce
ton - -
amu - -
gal - gallon
qt - quart
pint - -
cup - -
tsp - teaspoon
tbsp - tablespoon
min - minute mins
h - hour hr hrs
day - -
wk - week
mo - month
yr - year yrs
decade - -
century - centuries
rad - radian
sr - steradian
degree - deg
rev - revolution
knot - kn
atm - atmosphere
mmHg - -
psi - -
ppm - -
bpm - -
fps - -
$ - dollar usd buck
¢ - cent
€ - euro eur
£ - gbp sterling quid
¥ - yen jpy
₹ - rupee rs inr
₩ - won krw
₽ - ruble rouble rub
yuan - rmb cny
franc - chf
penny - pence pennies
peso - mxn
% - percent
point - pt pts
unit - -
"""
COMPOUND = {
    "mph": (("mi", 1), ("h", -1)),
    "kph": (("km", 1), ("h", -1)),
    "kmph": (("km", 1), ("h", -1)),
    "kmh": (("km", 1), ("h", -1)),
    "rpm": (("rev", 1), ("min", -1)),
}
TEMPERATURES = {"C": "°C", "Celsius": "°C", "celsius": "°C", "F": "°F", "Fahrenheit": "°F", "fahrenheit": "°F"}
TWO_MEANINGS = {"pound": ("lb", "£")}  # goes with either

# A letter after a space is a unit: "5 m". Other letters, and letters that touch the number, may be variables: 5m.
SPACED_LETTERS = frozenset("m g s h L l N J W V".split())
GLUED_DOUBTS = frozenset("ms us ns ps nm um kn mo pt ha".split())
FILLERS = frozenset("of the in to at by on from is are for with".split())
# Nouns of three letters; other unknown words as short as this are products of variables.
SHORT_NOUNS = frozenset(
    """
    ant bag bat bed bee big box boy bun bus cab can cap car cat cow dog ear egg eye fan few fig fly fox gem girl gum guy
    hat hen hit ice jar jet job jug key kid lap leg log lot man map mat men mug new nut old owl pan pea pen pet pie pig
    pin pod pop pot ram rat ray red row rug run set sky tax tie tin tip top toy van way win
    """.split()
)
# Words that make another number of the one before them, or no number at all.
NO_UNITS = frozenset(
    """
    sqrt infinity alpha beta gamma theta delta lambda sigma omega log sin cos tan exp mod modulo and plus minus over
    choose not nor or half halve third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth twentieth
    hundredth thousandth millionth quarter factorial below under negative zero undefined nan wrong incorrect
    remainder score gross power root except than else unless none times multiplied divided
    """.split()
)


def _names() -> dict[str, str]:
    """Every name of a unit, with the one symbol that stands for it here."""
    names = {"'": "ft", "''": "in", "Kg": "kg", "Km": "km"}
    for line in _UNITS.strip().splitlines():
        symbol, prefixes, *words = line.split()
        for word in (symbol, *words):
            names[word] = symbol
            for prefix in prefixes if prefixes != "-" else "":
                spelled = prefix if len(word) <= 2 or word == symbol else _PREFIXES[prefix]
                names[spelled + word] = prefix + symbol
    del names["-"]
    return names


NAMES = _names()
