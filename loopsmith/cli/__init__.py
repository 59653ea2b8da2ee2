"""The command line: parses, calls, prints."""

import os
import sys

from loopsmith.cli.app import app
from loopsmith.errors import LoopsmithError

INTERRUPTED = 130


def main() -> None:
    """The console script. Exit codes are listed in SPEC.md; a user's mistake never shows a traceback."""
    try:
        app()
    except LoopsmithError as error:
        print(f"loopsmith: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing at exit either
