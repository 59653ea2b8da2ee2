"""The curve of the best value, drawn in letters: in braille, eight dots a cell, or in plain ASCII."""

import math
from collections.abc import Iterator
from dataclasses import replace

from rich.text import Text

from loopsmith.records import Verdict
from loopsmith.report.curve import Curve
from loopsmith.report.scale import Axis, drawn, labels, shown, ticks

# The dots of a braille cell by row and column: https://www.unicode.org/charts/PDF/U2800.pdf
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
BRAILLE = 0x2800
BAND, POINT, INTERVAL, RISE, STEP, KEPT = range(6)  # what lies above what
STYLES = ("dim", "dim", "cyan", "green", "green", "bold green")
LETTERS = ("-", ".", ":", "|", "=", "o")  # in ASCII
MARK = "●"
SMALLEST = (20, 4)  # columns and rows; a smaller curve is left out


class Canvas:
    """Cells of `down` x `across` dots each; a cell has the style of the uppermost thing in it."""

    def __init__(self, width: int, height: int, *, ascii: bool):
        self.ascii = ascii
        self.across, self.down = (1, 1) if ascii else (2, 4)
        self.width, self.height = width, height
        self.dots = [[0] * width for _ in range(height)]
        self.layers = [[-1] * width for _ in range(height)]

    def dot(self, x: int, y: int, layer: int) -> None:
        """A dot, counted from the top left."""
        column, row = x // self.across, y // self.down
        if not (0 <= column < self.width and 0 <= row < self.height):
            return
        self.dots[row][column] |= 1 if self.ascii else DOTS[y % self.down][x % self.across]
        self.layers[row][column] = max(self.layers[row][column], layer)

    def row(self, number: int) -> Text:
        line = Text()
        for dots, layer in zip(self.dots[number], self.layers[number], strict=True):
            if layer < 0:
                line.append(" ")
            elif layer == KEPT or self.ascii:
                line.append(LETTERS[layer] if self.ascii else MARK, STYLES[layer])
            else:
                line.append(chr(BRAILLE | dots), STYLES[layer])
        return line


def draw(curve: Curve, width: int, height: int, *, ascii: bool = False) -> list[Text]:
    """The curve as lines: candidates to the right, the metric upwards, whatever is better."""
    if not curve.steps:
        return [Text("the baseline is not measured yet", style="dim")]
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return [Text(f"{curve.metric} = {curve.steps[-1].value:.5g}")]
    believed = tuple(point for point in curve.points if point.verdict != Verdict.QUARANTINED)
    low, high = shown(replace(curve, points=believed))
    named, power = names(curve, ticks(low, high, max(2, height // 3)))
    margin = max(map(len, named.values())) + 1
    canvas = Canvas(width - margin, height - 1, ascii=ascii)
    right, bottom = canvas.width * canvas.across - 1, canvas.height * canvas.down - 1
    upwards, rightwards = Axis(low, high, bottom, 0), Axis(0, max(1, curve.last), 0, right)

    def x_of(number: int) -> int:
        return round(rightwards.at(number))

    def y_of(value: float) -> int:
        return round(upwards.at(value))

    if curve.band is not None:
        for edge in (curve.band.low, curve.band.high):
            for x in range(0, right + 1, 2 * canvas.across):
                canvas.dot(x, y_of(edge), BAND)
    for point in curve.points:
        if (value := drawn(point.value, point.first)) is not None and math.isfinite(value):
            canvas.dot(x_of(point.number), y_of(value), POINT)
    steps = curve.steps
    for step, after in zip(steps, (*steps[1:], None), strict=True):
        end = right if after is None else x_of(after.number)
        for x in range(x_of(step.number), end + 1):
            canvas.dot(x, y_of(step.value), STEP)
        if after is not None:
            for y in between(y_of(step.value), y_of(after.value)):
                canvas.dot(end, y, RISE)
    for step in steps[1:]:
        x = x_of(step.number)
        if step.low is not None and step.high is not None:
            for y in between(y_of(step.low), y_of(step.high)):
                canvas.dot(x, y, INTERVAL)
        canvas.dot(x, y_of(step.value), KEPT)
    rows = {y_of(value) // canvas.down: name for value, name in named.items()}
    lines = [
        Text.assemble((f"{rows.get(number, ''):>{margin - 1}} ", "dim"), canvas.row(number))
        for number in range(canvas.height)
    ]
    return [*lines, foot(curve, margin, width, power)]


def names(curve: Curve, marks: list[float]) -> tuple[dict[float, str], str]:
    """What stands at the left edge, the start and the best last as they matter most; and of what it is multiples."""
    ends = [curve.steps[0].value, curve.steps[-1].value]
    gap = (marks[1] - marks[0]) / 2 if len(marks) > 1 else 0.0
    free = [mark for mark in marks if all(abs(mark - end) >= gap for end in ends)]
    texts, power = labels([*free, *ends])
    return dict(zip([*free, *ends], texts, strict=True)), power


def between(one: int, other: int) -> Iterator[int]:
    yield from range(min(one, other), max(one, other) + 1)


def foot(curve: Curve, margin: int, width: int, power: str) -> Text:
    """The axis below: numbers of candidates, and what the marks mean where there is room."""
    left, right = "0", f"c{curve.last}" if curve.last else ""
    noise = "   -- noise of one run" if curve.band else ""
    legend = f"● kept, with its interval   · tried{noise}" + (f"   in {power}" if power else "")
    room = width - margin - len(left) - len(right)
    middle = legend if room >= len(legend) + 4 else ""
    return Text(" " * margin + left + middle.center(room) + right, style="dim")
