"""Campaigns for the commands' tests."""

import pytest
from support import setting_x, write_source


@pytest.fixture
def slow(tmp_path):
    """A workflow whose campaign takes a while."""
    verify = {"command": "sleep 0.3; sh verify.sh"}
    return write_source(tmp_path, verify=verify, agent=setting_x(*range(11, 60)), budget={"rounds": 6})
