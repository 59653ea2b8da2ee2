"""Templates: found in a checkout and when installed, described, and fitted without losing a word."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import loopsmith
from loopsmith.errors import UsageError
from loopsmith.workflow import load
from loopsmith.workflow.templates import Template, fit, templates

ROOT = Path(loopsmith.__file__).parents[1]
TEXT = """---
# a comment
objective: {metric: seconds, direction: minimize} # stays
workspace:
  editable: [a.py, b.py] # and this
  holdout: {command: x} # example
  link: []
# goes # example
agent: {kind: tuner}
---
Prompt --- # example
{{ brief }}
"""


def test_values_are_replaced_and_all_else_stays():
    fitted = fit(TEXT, {"workspace.editable": ["src/**/*.c", "no: 'yes'"], "agent": {"kind": "cli", "program": "x"}})
    assert fitted == TEXT.replace("[a.py, b.py]", "[src/**/*.c, 'no: ''yes''']").replace(
        "{kind: tuner}", "{kind: cli, program: x}"
    ).replace("  holdout: {command: x} # example\n", "").replace("# goes # example\n", "")


@pytest.mark.parametrize("value", ["on", "1e3", "a b", "a\nb", "#x", "it's", "$KEY", "{x}", "-", ".5", "*.c", "", "ü"])
def test_every_text_comes_back_as_it_was(tmp_path, value):
    path = tmp_path / "WORKFLOW.md"
    text = TEXT.replace("agent:", "verify: {command: x, env: {A: b}}\nname: y\nagent:")
    path.write_text(fit(text, {"verify.command": value or "x", "name": value or "x"}))
    assert load(path).settings.verify.command == (value or "x")


def test_a_key_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match=r"objective\.target"):
        fit(TEXT, {"objective.target": 1})


@pytest.mark.parametrize("template", templates().values(), ids=lambda template: template.name)
def test_each_template_says_when_to_use_it_and_its_keys_exist(template):
    assert 10 < len(template.when) < 200
    text = (template.folder / "WORKFLOW.md").read_text()
    for question in template.settings.ask if template.settings else ():
        assert question.key or question.file
        fit(text, dict.fromkeys(question.key, "x"))
    assert {"WORKFLOW.md", "README.md"} <= set(template.files(example=True))
    if template.settings:
        assert "README.md" not in template.files(example=False)


def test_a_folder_with_nothing_but_a_workflow_is_a_template(tmp_path):
    (tmp_path / "WORKFLOW.md").write_text(TEXT)
    template = Template(tmp_path)
    assert template.settings is None
    assert template.when == tmp_path.name
    assert template.files(example=True) == ("WORKFLOW.md",)


def test_a_wrong_template_is_told(tmp_path):
    (tmp_path / "template.yaml").write_text("ask: [{name: x}]")
    with pytest.raises(UsageError, match=r"template\.yaml"):
        _ = Template(tmp_path).settings


def test_an_installed_package_has_the_templates_where_the_wheel_puts_them(tmp_path):
    forced = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    ignore = shutil.ignore_patterns("__pycache__", ".loopsmith")
    shutil.copytree(ROOT / "loopsmith", tmp_path / "loopsmith", ignore=ignore)
    for source, target in forced["force-include"].items():
        shutil.copytree(ROOT / source, tmp_path / target, ignore=ignore)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    script = "from loopsmith.workflow.templates import *; print(template_folder(), *templates())"
    line = [sys.executable, "-c", script]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(tmp_path / "loopsmith/templates"), *templates()], done.stderr
