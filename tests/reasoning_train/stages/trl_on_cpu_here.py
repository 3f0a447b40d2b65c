"""The plug-in that makes the changes of trl_on_cpu.py in the process that imports it."""

from __future__ import annotations

from tests.reasoning_train.stages.trl_on_cpu import changes

for where, name, value in changes():
    setattr(where, name, value)
