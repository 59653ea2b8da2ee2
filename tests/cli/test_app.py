"""The list of commands, and what a start imports."""

import subprocess
import sys

import pytest

from loopsmith.cli.app import COMMANDS, loaded

NAMES = [name for panel in COMMANDS.values() for name in panel]
HEAVY = ("sqlalchemy", "mcp", "textual", "matplotlib", "scipy", "numpy", "anthropic", "openai", "pygit2")


def imported(*words: str) -> set[str]:
    """The heavy packages that a start of the command line imports."""
    code = (
        "import sys\n"
        "from loopsmith.cli import main\n"
        f"sys.argv = ['loopsmith', *{words!r}]\n"
        "try:\n    main()\n"
        f"finally:\n    print('imported', *({set(HEAVY)!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_list_of_commands_imports_none_of_them():
    assert imported("--help") == set()
    assert imported("--version") == set()
    assert imported("stauts") == set()


def test_a_command_imports_what_it_needs_alone():
    assert imported("mcp", "--help") <= {"mcp"}
    assert not imported("status", "--help") & {"mcp", "textual", "matplotlib", "scipy", "numpy", "anthropic", "openai"}


@pytest.mark.parametrize("name", NAMES)
def test_each_command_is_there_and_has_the_help_of_the_list(name, loopsmith, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    words = next(panel[name][1] for panel in COMMANDS.values() if name in panel)
    assert loaded(name).help == words
    assert words in loopsmith("--help").out
    result = loopsmith(name, "-h")
    assert result.code == 0
    assert words in result.out


def test_a_command_that_is_not_there_is_told_with_the_nearest(loopsmith):
    result = loopsmith("stauts")
    assert result.code == 2
    assert "No such command 'stauts'. Did you mean 'status'?" in result.err
