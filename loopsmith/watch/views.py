"""Two kinds of lines: the curve, and events, of which there may be very many."""

from collections.abc import Sequence
from typing import cast, overload

from rich.text import Text

from loopsmith.records import Event
from loopsmith.report.progress.curve import Curve
from loopsmith.watch import chart, panes
from loopsmith.watch.feed import Picture
from loopsmith.watch.lines import Lines
from loopsmith.watch.shell import Shell


class CurvePane(Lines):
    """The curve, drawn anew for each size."""

    curve: Curve | None = None

    def draw(self, curve: Curve) -> None:
        if curve is not self.curve:
            self.curve = curve
            self._arrange()

    def _arrange(self) -> None:
        if self.curve is not None and self.size.width:
            watch = cast(Shell, self.app)
            self._given = chart.draw(self.curve, self.room.width, self.room.height, ascii=watch.ascii)
        super()._arrange()


class EventLines(Sequence[Text]):
    """The lines of events, made when they come into sight."""

    def __init__(self, events: Sequence[Event], picture: Picture):
        self.events, self.picture = events, picture

    def __len__(self) -> int:
        return len(self.events)

    @overload
    def __getitem__(self, index: int) -> Text: ...
    @overload
    def __getitem__(self, index: slice) -> list[Text]: ...
    def __getitem__(self, index: int | slice) -> Text | list[Text]:
        if isinstance(index, slice):
            return [panes.event_line(event, self.picture) for event in self.events[index]]
        return panes.event_line(self.events[index], self.picture)
