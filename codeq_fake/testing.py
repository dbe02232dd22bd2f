"""A fake in your process: `FakeCodeQ`, which can do what the control API can, without HTTP in between.

`VirtualTimeLoop` and `run` are for async tests on a clock that jumps. `TaskView` is a task as `FakeCodeQ` shows it.
`Profile` are the names of the store profiles; `codeq_fake.payloads` has the types of everything else that is shown.
`Refused` is what an operation raises that the contract refuses. `CodeQSurprise` is the category of the warnings about
where the real server differs from its documentation.
"""

from __future__ import annotations

from .clocks import VirtualTimeLoop, run
from .core.errors import Refused
from .in_process.fake import FakeCodeQ
from .in_process.task_view import TaskView
from .payloads import Profile
from .surprises import CodeQSurprise

__all__ = ["CodeQSurprise", "FakeCodeQ", "Profile", "Refused", "TaskView", "VirtualTimeLoop", "run"]
