"""Containers that the suite starts, without an engine: a stand-in notes what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_contract.driver import Setup, containers
from codeq_contract.driver.containers import Containers

pytestmark = pytest.mark.port  # testcontainers opens one when it is imported


class Container:
    """A container whose start is interrupted."""

    started: list[str]
    stopped: list[str]

    def __init__(self, image: str) -> None:
        self.image = image

    def with_kwargs(self, **_: Any) -> Container:
        return self

    def with_exposed_ports(self, *_: int) -> Container:
        return self

    def start(self) -> None:
        self.started.append(self.image)
        raise KeyboardInterrupt

    def stop(self) -> None:
        self.stopped.append(self.image)


def test_a_container_is_removed_if_an_interrupt_comes_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    Container.started, Container.stopped = [], []
    monkeypatch.setattr(containers, "new_container", Container)
    with pytest.raises(KeyboardInterrupt), Containers("server", "store", "redis").serve(Setup()):
        pass
    assert Container.started == Container.stopped == ["store"]
