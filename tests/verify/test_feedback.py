"""What a verifier says in words, read from its output."""

import pytest

from loopsmith.verify.feedback import LIMIT, read_feedback


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("FEEDBACK case 3 fails\nMETRIC score=1\n", "case 3 fails"),
        ("FEEDBACK: case 3\nnoise\nFEEDBACK\nFEEDBACK   indented\n", "case 3\n\nindented"),
        ("FEEDBACK crlf\r\nFEEDBACK \x1b[31mred\x1b[0m\n", "crlf\nred"),
        (" FEEDBACK no\nFEEDBACKS no\n| FEEDBACK no\nfeedback no\n", ""),
        ("", ""),
    ],
)
def test_lines_that_begin_with_feedback_are_read(tmp_path, printed, said):
    log = tmp_path / "log"
    log.write_bytes(printed.encode())
    assert read_feedback(log) == said


def test_feedback_is_limited(tmp_path):
    log = tmp_path / "log"
    log.write_text("FEEDBACK " + "x" * 10_000 + "\n" + "FEEDBACK y\n" * 10_000)
    found = read_feedback(log)
    assert len(found) < LIMIT + 50
    assert found.endswith("[more of it is left out]")
