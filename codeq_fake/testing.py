"""A fake in your process: `FakeCodeQ`, which can do what the control API can, without HTTP in between.

`VirtualTimeLoop` and `run` are for async tests on a clock that jumps. `TaskView` is a task as `FakeCodeQ` shows it.
`CodeQSurprise` is the category of the warnings about what the real server does otherwise than its documents say.
"""

from __future__ import annotations

from .clocks import VirtualTimeLoop, run
from .divergences import CodeQSurprise
from .in_process.fake import FakeCodeQ
from .in_process.task_view import TaskView

__all__ = ["CodeQSurprise", "FakeCodeQ", "TaskView", "VirtualTimeLoop", "run"]
