"""Checks roman.py on every number from 1 to 3999 by reading its numerals back, then prints its size."""

import subprocess
import sys
from pathlib import Path

VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def value(numeral):
    """A numeral's number, by the rule that a smaller symbol before a larger one is taken away."""
    digits = [VALUES[symbol] for symbol in numeral]
    return sum(-one if one < next_ else one for one, next_ in zip(digits, [*digits[1:], 0]))


numbers = range(1, 4000)
program = subprocess.run(
    [sys.executable, "roman.py"], input="\n".join(map(str, numbers)), stdout=subprocess.PIPE, text=True, check=True
)
numerals = program.stdout.split()
if len(numerals) != len(numbers):
    sys.exit(f"{len(numerals)} numerals for {len(numbers)} numbers")
for number, numeral in zip(numbers, numerals):
    if value(numeral) != number or any(symbol * 4 in numeral for symbol in VALUES):
        sys.exit(f"{number} became {numeral}")
print(f"METRIC bytes={Path('roman.py').stat().st_size}")
