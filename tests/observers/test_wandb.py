"""A campaign in Weights & Biases, offline, with its real client; what it wrote is read back."""

import struct

import pytest
from support import run, setting_x, write_source

from loopsmith import workflow

wandb = pytest.importorskip("wandb", reason="pip install 'loopsmith[wandb]'")


BLOCK, HEAD = 32_768, 7  # https://github.com/google/leveldb/blob/main/doc/log_format.md


def records(data):
    """The records of W&B's file: LevelDB's log format, behind a header of seven bytes."""
    at, whole = HEAD, b""
    while at + HEAD <= len(data):
        if (left := BLOCK - at % BLOCK) < HEAD:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (1, 4):  # all of a record, or its last part
            yield whole
            whole = b""


def history(folder):
    """The rows that one offline run logged, and the names of its artifacts."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("*.wandb")
    rows, artifacts = [], []
    for data in records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            rows.append({item.key or "/".join(item.nested_key): item.value_json for item in record.history.item})
        elif kind == "artifact":
            artifacts.append(record.artifact.name)
        elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
            artifacts.append(record.request.log_artifact.artifact.name)
    return rows, artifacts


def test_a_campaign_is_a_run_under_its_own_id_that_goes_on_offline(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    path = write_source(tmp_path, agent=setting_x(12, 15, 9, 40), observe={"wandb": {"mode": "offline"}})
    run(path, "budget.rounds=1")
    view = run(path, "budget.rounds=2")
    parts = sorted((workflow.load(path).state / "wandb").glob("offline-run-*"))
    assert len(parts) == 2
    assert all(part.name.endswith(view["campaign"]["id"]) for part in parts)
    (first, kept), (second, later) = map(history, parts)
    drawn = [[row.get("candidate") for row in rows] for rows in (first, second)]
    assert sorted(drawn[0]) == ["0", "1", "2"]
    assert sorted(drawn[1]) == ["3", "4"], "a candidate is not drawn twice when the campaign goes on"
    last = next(row for row in second if row["candidate"] == "4")
    assert (last["value"], last["best"], last["kept"]) in [("40", "40", "2"), ("40.0", "40.0", "2.0")]
    campaign = view["campaign"]["id"]
    assert f"kept-{campaign}.2" in kept
    assert f"kept-{campaign}.4" in later


def test_without_a_login_and_not_offline_the_campaign_does_not_start(tmp_path, monkeypatch, loopsmith):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    result = loopsmith("run", write_source(tmp_path / "s", agent=setting_x(1), observe="wandb"))
    assert result.code == 2
    assert "nobody is logged in to Weights & Biases" in result.err
    assert "wandb: {mode: offline}" in result.err
