"""The body becomes a prompt."""

import pytest

from loopsmith.errors import WorkflowError
from loopsmith.workflow import VARIABLES, render

VALUES = dict.fromkeys(VARIABLES, "words") | {"brief": "THE BRIEF", "round": 3, "attempt": 1, "files": "a.py\nb.py"}


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_documented_variable_can_be_used(name):
    assert str(VALUES[name]) in render("{{ " + name + " }} {{ brief }}", VALUES)


def test_a_body_that_never_mentions_the_brief_gets_it_appended():
    assert render("Do it.\n", VALUES) == "Do it.\n\nTHE BRIEF"
    assert render("", VALUES) == "THE BRIEF"


def test_a_body_that_mentions_the_brief_has_it_once():
    assert render("{% if round > 1 %}{{ brief }}{% endif %} go", VALUES) == "THE BRIEF go"


def test_what_a_variable_holds_is_text_and_never_a_template():
    assert render("{{ brief }}", VALUES | {"brief": "{{ 7 * 7 }} <b>&"}) == "{{ 7 * 7 }} <b>&"


def test_block_lines_leave_no_empty_lines():
    assert render("{% for f in files.splitlines() %}\n- {{ f }}\n{% endfor %}\n{{ brief }}", VALUES) == (
        "- a.py\n- b.py\nTHE BRIEF"
    )


def test_a_template_that_fails_at_run_time_names_file_and_line():
    with pytest.raises(WorkflowError) as caught:
        render("{{ brief }}\n{{ 1 / (round - 3) }}", VALUES, file="X.md", first_line=10)
    assert caught.value.problems == ("X.md:11: the template cannot be rendered: division by zero",)


def test_an_unknown_variable_is_an_error_and_never_empty_text():
    with pytest.raises(WorkflowError, match=r":1: unknown variable `hypotesis`; did you mean `hypothesis`\?"):
        render("{{ hypotesis }} {{ brief }}", VALUES)


@pytest.mark.parametrize("attack", ["''.__class__.__mro__", "brief.__init__.__globals__", "range(10**9)|list"])
def test_a_template_cannot_leave_its_sandbox(attack):
    with pytest.raises(WorkflowError, match="the template cannot be rendered"):
        render("{{ " + attack + " }} {{ brief }}", VALUES)
