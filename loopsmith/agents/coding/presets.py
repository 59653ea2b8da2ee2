"""The entry of a program: a preset, with what the workflow says in its place."""

import difflib
from functools import cache
from importlib.resources import files

import yaml

from loopsmith.errors import WorkflowError
from loopsmith.workflow.coding import CliAgent, Entry


@cache
def presets() -> dict[str, Entry]:
    """Every preset by its name."""
    text = files(__package__).joinpath("presets.yaml").read_text(encoding="utf-8")
    return {name: Entry.model_validate(entry) for name, entry in yaml.safe_load(text).items()}


def entry(settings: CliAgent) -> Entry:
    """How the program of the settings is run.

    Raises:
        WorkflowError: there is no such preset.
    """
    if settings.program is None:
        assert settings.usage is not None
        return Entry(argv=settings.argv, usage=settings.usage, exits=settings.exits, login=settings.login or ())
    known = presets()
    if settings.program not in known:
        near = difflib.get_close_matches(settings.program, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}; or give its argv and usage"
        raise WorkflowError(f"agent.program: there is no preset `{settings.program}`; {hint}")
    found = known[settings.program]
    given = {name: getattr(settings, name) for name in ("argv", "usage") if getattr(settings, name)}
    login = found.login if settings.login is None else settings.login
    return found.model_copy(update={**given, "login": login, "exits": {**found.exits, **settings.exits}})
