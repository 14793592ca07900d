r"""The value of a number as people write it: what reader `numeric` compares.

One rule reads golds and answers. Read are digits of any script, signs (also U+2212 and
dashes; "negative 5"), currencies and units (5% is 5), groups of three (1,000; 1 000;
1'000; 1.000.000; 1{,}000) and of two (1,00,000), a decimal comma if it can be nothing
else (1.000,5; 0,5), fractions (3/4; 1 1/2; ½; \frac{1}{2}), powers (10^3; 2³; 1.5e3;
1.5 x 10^3) and scales (5 million; $5k).

No value have numerals that people read in two ways (3,5; 12,34,5; 1.2.3; 5k), times and
dates (12:30), ranges, alternatives (2 or 3) and unfinished sums (3 * 6): a plausible
number would be worse than none. Of "3 * 6 = 18" the closed side is read, 18.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

#: Digits of a fraction's or power's parts, and the largest exponent, that are read.
DIGITS, EXPONENT = 40, 400
DASHES = dict.fromkeys("−﹣－–‒‑‐", "-")  # noqa: RUF001
SIGNS = {
    **DASHES,
    **dict.fromkeys("×⋅·∙✕", "*"),  # noqa: RUF001
    **dict.fromkeys("÷⁄∕", "/"),  # noqa: RUF001
    **dict.fromkeys("’ʼ", "'"),  # noqa: RUF001
    **dict.fromkeys("≈≃≅", "="),
    "٫": ".",  # noqa: RUF001
    "٬": ",",
}
RAISED = {**dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)), "⁻": "-", "⁺": ""}
LATEX = [
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,;:! ]|~"), " "),
    (re.compile(r"\\(?=[$%])"), ""),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\approx(?![A-Za-z])"), "="),
    (re.compile(r"\^\s?\{\s?([-+]?[0-9]{1,9})\s?\}"), r"^\1"),
    (
        re.compile(
            r"\\[dtc]?frac\s?\{\s?([0-9.,]{1,99})\s?\}\s?\{\s?([0-9.,]{1,99})\s?\}"
        ),
        r" \1/\2",
    ),
    (re.compile(r"\\[dtc]?frac\s?([0-9])([0-9])(?![0-9])"), r" \1/\2"),
    # The power of a unit or a variable is no number: 18 cm^2, x^2 = 9.
    (re.compile(r"(?<=[A-Za-z}])\s?\^\s?[-+]?[0-9]{1,9}"), ""),
    (re.compile(r"-\s(?=[0-9]+/[0-9])(?<=[^\w\s)\]]-\s)"), "-"),
]
SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
SHORT = {"k": 3, "m": 6, "b": 9, "bn": 9}
PARTS = {"half": Fraction(1, 2), "third": Fraction(1, 3), "quarter": Fraction(1, 4)}
MONEY = "$€£¥₹"
#: Every piece is bounded or is consumed by the match, so that a text is read once.
TOKEN = re.compile(
    rf"""
    (?P<attached>(?<=[^\W0-9]))?
    (?P<sign>(?<![\w)\]%])[-+]|(?<!\w)(?:negative|Negative)\s{{1,2}}-?)?
    (?P<money>[{MONEY}]\s?-?)?
    (?:(?P<whole>[0-9]{{1,15}})\s(?=[0-9]{{1,15}}\s?/\s?[0-9]))?
    (?P<digits>[0-9]{{1,3}}(?:\s[0-9]{{3}})+(?![0-9])(?:[.,][0-9]+)?
      |\.?[0-9]+(?:[.,'][0-9]+)*)
    (?P<exponent>[eE][-+]?[0-9]{{1,9}}(?![\w])
      |\s{{0,2}}[*xX]\s{{0,2}}10\s?\^\s?\(?[-+]?[0-9]{{1,9}}\)?)?
    (?P<power>\s?(?:\^|\*\*)\s?\(?[-+]?[0-9]{{1,9}}\)?)?
    (?:\s{{0,2}}/\s{{0,2}}(?P<under>[0-9]+(?:[.,'][0-9]+)*))?
    (?P<short>(?:[kKmMbB]|bn)(?!\w))?
    (?P<scales>(?:\s{{1,2}}(?:hundred|thousand|million|billion|trillion)(?!\w)){{0,2}})
    (?:\s{{1,2}}and\s{{1,2}}(?:a|one)[\s-](?P<part>half|third|quarter)(?!\w))?
    """,
    re.VERBOSE,
)
PLAIN = re.compile(r"[0-9]*\.?[0-9]+")
COMMAS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
LAKHS = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?")
DOTS = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]+|(?:\.[0-9]{3}){2,})")
QUOTES = re.compile(r"[0-9]{1,3}(?:'[0-9]{3})+(?:[.,][0-9]+)?")
SPACES = re.compile(r"[0-9]{1,3}(?:\s[0-9]{3})+(?:[.,][0-9]+)?")
#: A comma that can only be decimal, because no group of thousands begins with 0.
ZERO = re.compile(r"0,[0-9]+")
LIST = re.compile(r"[0-9]{1,2}(?:,[0-9]{1,2}){2,}")
#: What makes two numbers one expression, or two alternatives.
JOINS = re.compile(r"(?:^|\s)[-+*/x:^~](?:\s|$)|^[-+*/:^]|[-+*/:^]$")
EITHER = re.compile(r"\b(?:or|and)\b|,")
#: An operator that waits for something after a number; "5-year-old" has none.
OPEN = re.compile(r"\s?[+^]\s*[\w(]|\s\*\s*[\w(]|\*[0-9(]|\s?[-/]\s*[0-9(]")
WORDS = {"", "to", "plus", "minus", "times", "x", "over", "divided by"}
IRRATIONAL = re.compile(r"±|\\pm(?![a-z])|π|\\pi(?![a-z])|√|sqrt|∞|\\infty")
#: A gold with these is a bound, or a scale that an answer may take for a unit.
UNSURE = re.compile(
    r"[<>≤≥]|\b(?:dozens?|lakhs?|crores?|mil|tn)\b"
    r"|\b(?:or (?:more|less|fewer)|at (?:most|least)|(?:more|less|fewer) than)\b"
)
SENTENCE = re.compile(r"[.;!?](?=\s|$)|(?<=[\w%.])\s[(\[]")
MINUS = re.compile(rf"(?:^|[\s:({{*])(?:-|[Mm]inus)[\s{MONEY}(]*$")


@dataclass(frozen=True)
class Number:
    """A numeral in a text; `value` is None if people read it in two ways."""

    start: int
    end: int
    value: str | None
    attached: bool


def plain(text: str) -> str:
    """The text with ASCII digits, signs and operators, and without LaTeX's spelling."""
    if not text.isascii():
        text = "".join(_ascii(text))
    for pattern, new in LATEX if "\\" in text or "^" in text or "{" in text else []:
        text = pattern.sub(new, text)
    return text


def last(text: str) -> str | None:
    """Value of the last numeral of a `plain` text; None if it has two readings.

    Of a list without spaces, "1,2,3", it is the last part.
    """
    found = numbers(text)
    if not found:
        return None
    glued = len(found) > 1 and text[found[-2].end : found[-1].start] in (":", "/")
    end = found[-1]
    listed = LIST.fullmatch(text[end.start : end.end])
    if listed:
        return canonical(Decimal(listed[0].rpartition(",")[2]))
    return None if glued else end.value


def final(text: str, *, alone: bool = False) -> str | None:
    """Value of a final answer, `plain`: "18 apples", "3 * 6 = 18", "- 5".

    Parameters
    ----------
    alone : no other number may follow, as a gold must be one number; else a remark may,
        as in "18 apples in 3 boxes" or "18. I checked 3 times."
    """
    digit = re.search("[0-9]", text)
    if digit is None:
        return None
    end = SENTENCE.search(text, digit.start())
    head = text[: end.start()] if end else text
    if IRRATIONAL.search(head):
        return None
    if alone and (UNSURE.search(text) or numbers(text[len(head) :])):
        return None
    found = numbers(head)
    gaps = [head[a.end : b.start] for a, b in itertools.pairwise(found)]
    if any(EITHER.search(gap) for gap in gaps):
        return None
    for side in reversed(head.split("=")):
        value = _side(side, alone=alone)
        # The other side of a gold's "= A1" would not be what its own text is read as.
        if value is not None or (alone and re.search("[0-9]", side)):
            return value
    return None


def numbers(text: str) -> list[Number]:
    """All numerals of a `plain` text."""
    return [
        Number(found.start(), found.end(), _value(found), found["attached"] is not None)
        for found in TOKEN.finditer(text)
    ]


def canonical(value: Decimal | Fraction) -> str:
    """One spelling per value: "1000", "-0.5"; "1/3" if no decimal is exact."""
    if isinstance(value, Fraction):
        exact = _decimal(value)
        if exact is None:
            return f"{value.numerator}/{value.denominator}"
        value = exact
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    sign, text = ("-" if text.startswith("-") else ""), text.lstrip("-").lstrip("0")
    text = f"0{text}" if text.startswith(".") or not text else text
    return "0" if text == "0" else sign + text


def _ascii(text: str) -> list[str]:
    made: list[str] = []
    raised = False
    for char in text:
        if char in RAISED:
            made.append(RAISED[char] if raised else f"^{RAISED[char]}")
            raised = True
            continue
        raised = False
        made.append(char if char.isascii() else _spelt(char, made))
    return made


def _spelt(char: str, before: list[str]) -> str:
    if char in SIGNS:
        return SIGNS[char]
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    kind = unicodedata.decomposition(char).split(" ")
    if kind[0] == "<fraction>":
        space = " " if before and before[-1][-1:].isdigit() else ""
        return space + unicodedata.normalize("NFKC", char).replace("⁄", "/")  # noqa: RUF001
    if kind[0] == "<wide>":
        return unicodedata.normalize("NFKC", char)
    return " " if unicodedata.category(char) == "Zs" else char


def _side(text: str, *, alone: bool) -> str | None:
    """Value of one side of an equation; None if it is an expression."""
    every = numbers(text)
    found = every if alone else [n for n in every if not n.attached] or every
    if not found or (alone and (len(found) > 1 or found[0].attached)):
        return None
    if len(found) > 1:
        gap = text[found[0].end : found[1].start].strip(f" {MONEY}%°")
        if gap in WORDS or JOINS.search(gap):
            return None
    first = found[0]
    if first.value is None or OPEN.match(text, first.end):
        return None
    negative = MINUS.search(text[: first.start])
    if not negative:
        return first.value
    return "0" if first.value == "0" else f"-{first.value}"


def _value(found: re.Match[str]) -> str | None:
    value = _numeral(found["digits"])
    if value is None or (found["short"] and not found["money"]):
        return None
    exponent = 0
    if found["exponent"]:
        exponent += int(
            re.sub(r".*[\^eE]|[\s()]", "", found["exponent"], flags=re.DOTALL)
        )
    exponent += sum(SCALES[word] for word in found["scales"].split())
    exponent += SHORT[found["short"].lower()] if found["short"] else 0
    if abs(exponent) > EXPONENT:
        return None
    sign = found["sign"] or ""
    negative = sign.startswith(("-", "n", "N")) != (found["money"] or "").endswith("-")
    simple = not any(found[k] for k in ("whole", "power", "under", "part"))
    if simple:
        shifted = Decimal(f"{value:f}E{exponent}") if exponent else value
        return canonical(shifted.copy_negate() if negative else shifted)
    exact = _exact(found, value)
    if exact is None:
        return None
    exact *= Fraction(10) ** exponent
    return canonical(-exact if negative else exact)


def _exact(found: re.Match[str], value: Decimal) -> Fraction | None:
    """Whole part, power and fraction of a match, without its sign and scale."""
    under = _numeral(found["under"]) if found["under"] else Decimal(1)
    if not under or max(len(found["digits"]), len(found["under"] or "")) > DIGITS:
        return None
    exact = Fraction(value)
    if found["power"]:
        power = int(re.sub(r"[\s^*()]", "", found["power"]))
        if abs(power) > DIGITS or (power < 0 and not exact):
            return None
        exact **= power
    exact = Fraction(found["whole"] or 0) + exact / Fraction(under)
    return exact + PARTS.get(found["part"] or "", Fraction(0))


def _numeral(text: str) -> Decimal | None:
    """Value of digits with separators; None if people read them in two ways."""
    if PLAIN.fullmatch(text):
        return Decimal(text)
    if COMMAS.fullmatch(text) and not text.startswith("0"):
        return Decimal(text.replace(",", ""))
    if LAKHS.fullmatch(text):
        return Decimal(text.replace(",", ""))
    if DOTS.fullmatch(text):
        return Decimal(text.replace(".", "").replace(",", "."))
    if QUOTES.fullmatch(text) or SPACES.fullmatch(text):
        return Decimal(re.sub(r"['\s]", "", text).replace(",", "."))
    if ZERO.fullmatch(text):
        return Decimal(text.replace(",", "."))
    return None


def _decimal(value: Fraction) -> Decimal | None:
    rest, counts = value.denominator, []
    for prime in (2, 5):
        counts.append(0)
        while rest % prime == 0:
            rest //= prime
            counts[-1] += 1
    if rest > 1:
        return None
    places = max(counts)
    return Decimal(f"{value.numerator * 10**places // value.denominator}E-{places}")
