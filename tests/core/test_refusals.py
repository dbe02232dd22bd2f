"""A refused operation changes nothing: each refusal of each operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from codeq_fake.core import PROFILES, ArtifactUpload, Broker, CoreSettings, Submission, errors, manual_operations
from codeq_fake.core.saved_state import dump
from tests.core.model.lockstep import START, Fate
from tests.core.model.store import SECOND

#: When the lease of the held task has run out, and the delayed one is due: a repair would change both.
LATER = START + 9 * SECOND

DONE = Submission("COMPLETED", "{}")
READABLE, UNREADABLE = ArtifactUpload("a", content_base64="aGk="), ArtifactUpload("b", content_base64="!")
CALLER: dict[str, Any] = {"worker": "w-1", "event_types": ("A",), "tenant": "acme"}

REFUSED: list[tuple[str, type[errors.Refused], tuple[Any, ...], dict[str, Any]]] = [
    ("create", errors.InvalidCommand, (" ", "{}"), {"tenant": "acme", "idempotency_key": "new"}),
    ("create", errors.InvalidWebhook, ("A", "{}"), {"tenant": "acme", "webhook": "hooks.test"}),
    ("create", errors.InvalidRunAt, ("A", "{}"), {"tenant": "acme", "run_at": "tomorrow"}),
    ("create", errors.InvalidDelay, ("A", "{}"), {"tenant": "acme", "delay_seconds": -1}),
    ("claim", errors.EventTypeNotAllowed, (["A", "B"],), CALLER),
    ("claim", errors.WorkerRequired, (["A"],), CALLER | {"worker": ""}),
    ("claim_batch", errors.EventTypeNotAllowed, (["A", "B"], 2), CALLER),
    ("claim_batch", errors.WorkerRequired, (["A"], 2), CALLER | {"worker": ""}),
    *[
        (operation, errors.TaskNotFound, ("missing",), {"worker": "w-1"})
        for operation in ("heartbeat", "abandon", "nack")
    ],
    *[(operation, errors.NotOwner, ("held",), {"worker": "w-2"}) for operation in ("heartbeat", "abandon", "nack")],
    *[(operation, errors.NotOwner, ("waiting",), {"worker": "w-1"}) for operation in ("heartbeat", "abandon", "nack")],
    ("submit", errors.TaskNotFound, ("missing", DONE), {"worker": "w-1"}),
    ("submit", errors.NotOwner, ("held", DONE), {"worker": "w-2"}),
    ("submit", errors.NotInProgress, ("waiting", DONE), {"worker": "w-1"}),
    (
        "submit",
        errors.ArtifactUndecodable,
        ("held", Submission("COMPLETED", "{}", "", (READABLE, UNREADABLE))),
        {"worker": "w-1"},
    ),
    ("submit", errors.ResultRequired, ("held", Submission("COMPLETED", None, "", (READABLE,))), {"worker": "w-1"}),
    ("submit", errors.ErrorRequired, ("held", Submission("FAILED", "{}", " ", (READABLE,))), {"worker": "w-1"}),
    ("submit", errors.InvalidStatus, ("held", Submission("DONE", "{}", "", (READABLE,))), {"worker": "w-1"}),
    ("renew_subscription", errors.SubscriptionNotFound, ("missing",), {}),
    ("subscribe", errors.InvalidCallbackUrl, ("hooks.test",), {}),
    ("subscribe", errors.InvalidDeliveryMode, ("http://hooks.test/",), {"delivery_mode": "some"}),
    ("subscribe", errors.GroupRequired, ("http://hooks.test/",), {"delivery_mode": "group"}),
]


class NamedTasks(Fate):
    def __init__(self) -> None:
        super().__init__()
        self.names = ["held", "waiting", "delayed", "one that must not be"]

    def task_id(self) -> str:
        return self.names.pop(0)


@pytest.fixture
def broker() -> Broker:
    ids = NamedTasks()
    broker = Broker(settings=CoreSettings(), profile=PROFILES["redis"], ids=ids, jitter=ids, now=START)
    broker.create("A", "{}", tenant="acme", now=START)
    broker.claim(["A"], **CALLER, lease_seconds=5, now=START)
    broker.create("A", "{}", tenant="acme", now=START)
    broker.create("A", "{}", tenant="acme", delay_seconds=5, now=START)
    return broker


@pytest.mark.parametrize(
    ("operation", "refusal", "arguments", "named"),
    [pytest.param(*case, id=f"{number}-{case[0]}-{case[1].__name__}") for number, case in enumerate(REFUSED)],
)
def test_a_refused_operation_changes_nothing(
    broker: Broker, operation: str, refusal: type[errors.Refused], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    before = dump(broker)
    with pytest.raises(refusal):
        getattr(broker, operation)(*arguments, **named, now=LATER)
    assert dump(broker) == before
    assert list(broker.drain_effects()) == []


@pytest.mark.parametrize(
    ("operation", "refusal", "task_id"),
    [
        (manual_operations.expire_lease, errors.TaskNotFound, "missing"),
        (manual_operations.expire_lease, errors.NotInProgress, "delayed"),
        (manual_operations.requeue, errors.TaskNotFound, "missing"),
        (manual_operations.resend_callback, errors.ResultNotFound, "held"),
    ],
)
def test_a_refused_manual_operation_changes_nothing(
    broker: Broker, operation: Callable[..., object], refusal: type[errors.Refused], task_id: str
) -> None:
    before = dump(broker)
    with pytest.raises(refusal):
        operation(broker, task_id, now=LATER)
    assert dump(broker) == before
    assert list(broker.drain_effects()) == []


def test_every_refusal_is_tried() -> None:
    tried = {refusal for _, refusal, _, _ in REFUSED}
    of_main = {errors.InvalidTopic, errors.TopicNotFound, errors.ArtifactRefused}  # recordings show them
    assert tried | {errors.ResultNotFound} | of_main == set(errors.Refused.__subclasses__())


def test_asking_for_what_is_not_there_changes_nothing(broker: Broker) -> None:
    before = dump(broker)
    with pytest.raises(errors.TaskNotFound):
        broker.get("missing")
    with pytest.raises(errors.TaskNotFound):
        broker.result("missing")
    with pytest.raises(errors.ResultNotFound):
        broker.result("held")
    assert dump(broker) == before


def test_a_batch_of_results_that_are_all_refused_changes_nothing(broker: Broker) -> None:
    before = dump(broker)
    answers = broker.submit_batch([("held", Submission("DONE")), ("missing", DONE)], worker="w-1", now=LATER)
    assert [type(answer) for answer in answers] == [errors.InvalidStatus, errors.TaskNotFound]
    assert dump(broker) == before
