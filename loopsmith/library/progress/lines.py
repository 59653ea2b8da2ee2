"""Progress where there is neither a terminal nor a notebook: a line for each thing that was decided."""

import sys

from rich.text import Text

from loopsmith.library.progress.view import View


class LinesView(View):
    """Plain lines on standard error."""

    def say(self, markup: str) -> None:
        print(Text.from_markup(markup).plain, file=sys.stderr, flush=True)

    def remark(self, text: str) -> None:
        super().remark(text)
        self.say(text)
