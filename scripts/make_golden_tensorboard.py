#!/usr/bin/env python3
"""Writes tests/tensorboard/golden.tfevents: what the tensorboard package itself writes, for src/view/tensorboard/message.rs.

    python3 -m venv /tmp/golden
    /tmp/golden/bin/pip install tensorboard==2.20.0 'setuptools<80'
    /tmp/golden/bin/python scripts/make_golden_tensorboard.py
"""

import io
import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

LONG = "a name of more than one hundred and twenty-seven bytes, so that its length takes two bytes " * 2


def scalars(*pairs):
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in pairs])


EVENTS = [
    event_pb2.Event(wall_time=1_700_000_000.25, file_version="brain.Event:2"),
    event_pb2.Event(
        wall_time=1_700_000_001.5, step=1, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    ),
    event_pb2.Event(wall_time=1_700_000_002.0, step=0, summary=scalars(("loss/train", 0.0))),
    event_pb2.Event(wall_time=1_700_000_003.0, step=300, summary=scalars(("loss/valid", 0.6125), ("valid/AUC", 0.5))),
    event_pb2.Event(
        wall_time=1_700_000_004.0, step=2**32 - 1, summary=scalars((LONG, float("nan")), ("negative", -1e-30))
    ),
]

file = io.BytesIO()
writer = RecordWriter(file)
for event in EVENTS:
    writer.write(event.SerializeToString())
path = pathlib.Path(__file__).parent.parent / "tests/tensorboard/golden.tfevents"
path.write_bytes(file.getvalue())
print(f"{path}: {len(file.getvalue())} bytes")
