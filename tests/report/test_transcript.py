import json

import pytest

from loopsmith.report import readable


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"UserMessage"}',
        '{"kind":"Completion","text":1,"calls":[],"stop":"end"}',
        '{"kind":"Completion","text":"x","calls":[{"name":"a","arguments":[]}],"stop":"end"}',
        '{"kind":"ToolMessage","results":[1]}',
        '{"system":{}}',
        "[" * 5000,
        "no JSON",
    ],
)
def test_what_a_program_printed_is_shown_as_it_stands(line):
    said = json.dumps({"kind": "UserMessage", "text": "brief"})
    shown = [text.rstrip("-") for text in readable(f"{line}\n{said}\n")]
    assert shown == [line, "--- loopsmith ", "brief"]


def test_a_line_separator_within_a_text_ends_no_record():
    said = "one\u2028two\x85three"
    line = json.dumps({"kind": "Completion", "text": said, "calls": [], "stop": "end"}, ensure_ascii=False)
    shown = [text.rstrip("-") for text in readable(f"{line}\n")]
    assert shown == ["--- model, turn 1 ", said]
