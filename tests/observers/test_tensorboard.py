"""A campaign in TensorBoard's event files, read back as TensorBoard reads them."""

import struct

import pytest
from support import run, setting_x, write_source

from loopsmith import workflow

pytest.importorskip("tensorboardX", reason="pip install 'loopsmith[tensorboard]'")


def records(file):
    """The events of a file: TFRecord's lengths, and a checksum after each length and each record."""
    from tensorboardX.proto import event_pb2

    data, at = file.read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = event_pb2.Event()
        event.ParseFromString(data[at + 12 : at + 12 + length])
        yield event
        at += 12 + length + 4


def test_scalars_are_by_candidate_and_a_campaign_that_goes_on_is_drawn_once(tmp_path):
    path = write_source(tmp_path, agent=setting_x(12, 15, 9, 40), observe="tensorboard")
    run(path, "budget.rounds=1")
    view = run(path, "budget.rounds=2")
    folder = workflow.load(path).state / "tensorboard" / view["campaign"]["id"]
    points, texts = {}, {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for event in records(file):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    points.setdefault(value.tag, []).append((event.step, round(value.simple_value, 3)))
                else:
                    texts[value.tag, event.step] = value.tensor.string_val[0].decode()
    assert sorted(points["value"]) == [(1, 12.0), (2, 15.0), (3, 9.0), (4, 40.0)]
    assert sorted(points["best"])[0] == (0, 10.0)
    assert sorted(points["kept"])[-1] == (4, 2.0)
    assert "+X=40" in texts["kept/text_summary", 4]
    assert "    objective.metric: score" in texts["settings/text_summary", 0]
