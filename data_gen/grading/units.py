"""Units as data: the forms in which each is written, what it measures and its exact size."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple


class MeasureUnit(NamedTuple):
    """A product of powers of base measures, times a factor: km/h is 1000/3600 of metre and second^-1."""

    factor: Fraction
    measures: tuple[tuple[str, int], ...]

    def times(self, other: MeasureUnit, power: int = 1) -> MeasureUnit:
        """The product with a power of another unit."""
        powers = dict(self.measures)
        for measure, exponent in other.measures:
            powers[measure] = powers.get(measure, 0) + exponent * power
        return MeasureUnit(self.factor * other.factor**power, tuple(sorted((m, p) for m, p in powers.items() if p)))


_ONE = MeasureUnit(Fraction(1), ())
_TABLE = """
length      1           m metre metres meter meters 米
length      1000        km kilometre kilometres kilometer kilometers kms 千米 公里
length      0.01        cm centimetre centimetres centimeter centimeters cms 厘米
length      0.001       mm millimetre millimetres millimeter millimeters 毫米
length      0.000001    um micrometre micrometres micrometer micrometers
length      0.000000001 nm nanometre nanometres nanometer nanometers
length      0.1         dm decimetre decimetres decimeter decimeters
length      0.0254      in inch inches
length      0.3048      ft foot feet
length      0.9144      yd yds yard yards
length      1609.344    mi mile miles
mass        1           g gram grams gramme grammes gm 克
mass        1000        kg kgs kilogram kilograms kilo kilos 千克 公斤
mass        0.001       mg milligram milligrams
mass        1000000     tonne tonnes
mass        453.59237   lb lbs pound pounds
mass        28.349523125 oz ounce ounces
mass        907184.74   ton tons
time        1           s sec secs second seconds 秒
time        0.001       ms millisecond milliseconds
time        60          min mins minute minutes 分钟
time        3600        h hr hrs hour hours 小时
time        86400       day days 天
time        604800      wk wks week weeks
month       1           mo month months
month       12          yr yrs year years
month       120         decade decades
month       1200        century centuries
litre       1           l L litre litres liter liters
litre       0.001       ml mL millilitre millilitres milliliter milliliters cc
litre       0.01        cl cL centilitre centilitres centiliter centiliters
litre       3.785411784 gal gals gallon gallons
litre       0.946352946 qt qts quart quarts
litre       0.473176473 pt pint pints
cup         1           cup cups
cup         1/16        tbsp tbsps tablespoon tablespoons
cup         1/48        tsp tsps teaspoon teaspoons
area        10000       ha hectare hectares
area        4046.8564224 ac acre acres
angle       1           degree degrees deg 度
angle       1/60        arcmin arcminute arcminutes
angle       360         revolution revolutions rev revs
radian      1           rad rads radian radians
celsius     1           celsius degC
fahrenheit  1           fahrenheit degF
kelvin      1           K kelvin kelvins
dollar      1           $ usd USD dollar dollars buck bucks
dollar      0.01        cent cents ¢
dollar      0.1         dime dimes
dollar      0.05        nickel nickels
euro        1           € eur EUR euro euros
pound       1           £ gbp GBP quid
pound       0.01        pence penny
yen         1           ¥ jpy JPY yen
yuan        1           cny CNY rmb RMB yuan 元
rupee       1           ₹ Rs rs inr INR rupee rupees
franc       1           chf CHF franc francs
peso        1           peso pesos
percent     1           % percent pct
dozen       1           dozen
frequency   1           Hz hertz
frequency   1000        kHz kilohertz
frequency   1000000     MHz megahertz
frequency   1000000000  GHz gigahertz
force       1           N newton newtons
force       1000        kN kilonewton kilonewtons
energy      1           J joule joules
energy      1000        kJ kilojoule kilojoules
energy      4.184       cal calorie calories
energy      4184        kcal kilocalorie kilocalories
energy      3600000     kWh
power       1           W watt watts
power       1000        kW kilowatt kilowatts
power       1000000     MW megawatt megawatts
pressure    1           Pa pascal pascals
pressure    1000        kPa kilopascal kilopascals
pressure    101325      atm
voltage     1           V volt volts
current     1           A amp amps ampere amperes
current     0.001       mA
resistance  1           ohm ohms
amount      1           mol mole moles
byte        1           byte bytes
byte        1/8         bit bits
byte        1000        KB kB kilobyte kilobytes
byte        1000000     MB megabyte megabytes
byte        1000000000  GB gigabyte gigabytes
byte        1000000000000 TB terabyte terabytes
item        1           个
person      1           人 名
animal      1           只 头
volume      1           本
speed       0.44704     mph
speed       5/18        kph kmh kmph
speed       0.514444444 knot knots
"""
_DERIVED = {
    "speed": (("length", 1), ("time", -1)),
    "area": (("length", 2),),
    "litre": (("length", 3),),
    "power": (("energy", 1), ("time", -1)),
}
"""Measures that are products of others; their table factors are in the base units, litres apart."""


def _unit_table() -> dict[str, MeasureUnit]:
    found = {}
    for line in _TABLE.split("\n"):
        if not line:
            continue
        measure, factor, *forms = line.split()
        size = Fraction(factor) / (1000 if measure == "litre" else 1)
        for form in forms:
            found[form] = MeasureUnit(size, _DERIVED.get(measure, ((measure, 1),)))
    return found


UNITS = _unit_table()
"""Form -> unit. Symbols count as written, words in any case."""
_ONE_LETTER = set("mglLsh%$€£¥")
GLUED = frozenset(form for form in UNITS if len(form) > 1 or form in _ONE_LETTER or not form.isascii())
"""Forms that may follow a digit without a space. Other single letters are variables there."""
_CURRENCIES = ("dollar", "euro", "pound", "yen", "yuan", "rupee", "franc", "peso")
_PIECE = re.compile(
    r"\s*(?:(?P<over>/|\bper\b|\ba\b|\ban\b)|(?P<dot>[*.]|\\cdot)|(?P<form>[A-Za-z%$€£¥₹¢\u4e00-\u9fff]+)\.?)"
    r"(?:\s*\^\s*\{?(?P<raised>-?\d)\}?|(?P<power>-?[1-4])(?![\d.]))?"
)
_TEMPERATURE = re.compile(r"\bdegrees?\s+(C|F|[Cc]elsius|[Ff]ahrenheit)\b")
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_RAISED = {"squared": 2, "cubed": 3}


def simple_unit(form: str) -> MeasureUnit | None:
    """The unit that one word or symbol is."""
    return UNITS.get(form) or (UNITS.get(form.lower()) if len(form) > 1 else None)


def read_unit(text: str) -> MeasureUnit | None:
    """The unit that a whole text is: products, quotients and powers of units of the table. Money per something is a
    rate, which `nouns.rate` reads.

    >>> read_unit("km/h") == read_unit("km per hour"), read_unit("sq ft") == read_unit("ft^2"), read_unit("less")
    (True, True, None)
    """
    text = _TEMPERATURE.sub(lambda m: "celsius" if m[1].lower().startswith("c") else "fahrenheit", text)
    unit, last, at, sign, raised, named = _ONE, _ONE, 0, 1, 1, 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            return None
        at = match.end()
        form = match["form"]
        if match["over"] or match["dot"]:
            if not named or match["power"] or match["raised"]:
                return None
            sign = -1 if match["over"] else sign
        elif form.lower() in _POWERS:
            raised = _POWERS[form.lower()]
        elif form.lower() in _RAISED and named:
            unit = unit.times(last, sign * (_RAISED[form.lower()] - 1))
        else:
            one = simple_unit(form)
            if one is None:
                return None
            last = one
            unit = unit.times(one, sign * raised * int(match["raised"] or match["power"] or 1))
            raised, named = 1, named + 1
    money = any(measure in _CURRENCIES for measure, _ in unit.measures)
    whole = named and text.rstrip()[-1:] not in "/*" and unit.measures and not (money and named > 1)
    return unit if whole else None
