"""Telling a person what happens: which occasions there are, what is said of them, and how it gets there."""

from loopsmith.observers.notify.message import Message
from loopsmith.observers.notify.notifier import Notifier
from loopsmith.observers.notify.targets import Target, build

__all__ = ["Message", "Notifier", "Target", "build"]
