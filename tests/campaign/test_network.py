"""Who has the network, by `guardrails.network`."""

import os
import shutil
import subprocess
import sys

import pytest
from support import run, write_source

NAMESPACE = "readlink /proc/self/ns/net | tr -dc 0-9"


@pytest.mark.skipif(
    sys.platform != "linux"
    or shutil.which("bwrap") is None
    or subprocess.run(["bwrap", "--dev-bind", "/", "/", "--unshare-net", "true"], capture_output=True).returncode != 0,
    reason="needs bubblewrap and a network namespace",
)
def test_the_verifier_alone_can_have_it(tmp_path):
    ours = int("".join(filter(str.isdigit, os.readlink("/proc/self/ns/net"))))
    path = write_source(
        tmp_path,
        command=f"echo METRIC score=$({NAMESPACE}); echo METRIC workers=$X",
        agent={"kind": "scripted", "commands": [f"echo X=$({NAMESPACE}) > program.sh"]},
        verify={"constraints": {"workers": f"== {ours}"}, "self_check": False},
        guardrails={"network": "verifier"},
        search={"candidates_per_round": 1},
    )
    (tmp_path / "program.sh").write_text(f"X={ours}\n")
    view = run(path)
    assert view["baseline"]["value"] == ours
    assert view["counts"]["failed"] == 1, "a worker is in another network"
