"""The settings of the guardrails: strict, shown by check, with defaults that are safe."""

import pytest
from pydantic import ValidationError

from loopsmith.workflow import Guardrails, Workflow, describe
from loopsmith.workflow.load import load

TEXT = """\
---
objective: {metric: score, direction: maximize}
workspace: {editable: [a.py]}
verify: {command: ./verify}
guardrails:
  new_files: none
  deletions: false
  unicode: any
  syntax: false
  freeze: [SEED, größe]
  imports: {forbid: [os.path, ctypes]}
---
"""


def loaded(tmp_path, text=TEXT) -> Workflow:
    (tmp_path / "WORKFLOW.md").write_text(text)
    return load(tmp_path / "WORKFLOW.md")


def test_every_setting_is_shown(tmp_path):
    shown = {key: value for key, value, _ in describe(loaded(tmp_path)) if key.startswith("guardrails.")}
    assert shown["guardrails.new_files"] == "none"
    assert shown["guardrails.deletions"] == "false"
    assert shown["guardrails.unicode"] == "any"
    assert shown["guardrails.syntax"] == "false"
    assert shown["guardrails.freeze"] == "SEED, größe"
    assert shown["guardrails.imports.forbid"] == "os.path, ctypes"
    assert shown["guardrails.imports.allow"] == "none"


def test_the_defaults_are_the_safe_ones():
    defaults = Guardrails()
    assert (defaults.new_files, defaults.unicode, defaults.syntax, defaults.deletions) == ("safe", "safe", True, True)
    assert (defaults.freeze, defaults.imports.forbid, defaults.imports.allow) == ((), (), None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"new_files": "some"}, "'safe', 'any' or 'none'"),
        ({"unicode": True}, "'safe' or 'any'"),
        ({"freeze": ["a-b"]}, "is not a name as programs have them"),
        ({"freeze": ["a.b"]}, "is not a name as programs have them"),
        ({"imports": {"forbid": ["os/path"]}}, "is not a module's name"),
        ({"imports": {"forbid": ["os"], "allow": ["math"]}}, "either a list of forbidden or one of allowed"),
        ({"imports": {"allow": []}}, "at least 1 item"),
        ({"imports": {"forbidden": ["os"]}}, "Extra inputs"),
        ({"deletions": "no"}, "valid boolean"),
    ],
)
def test_a_wrong_value_is_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        Guardrails.model_validate(given)


def test_a_frozen_name_is_taken_as_python_reads_it():
    assert Guardrails.model_validate({"freeze": ["𝐬𝐞𝐞𝐝"]}).freeze == ("seed",)
