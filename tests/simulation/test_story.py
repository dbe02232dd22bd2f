"""The story of a run: in plain words, host by host, of the tasks concerned only."""

from __future__ import annotations

import re

from codeq_fake.simulation.effects import Effects
from codeq_fake.simulation.log import Entry
from codeq_fake.simulation.plan import Event, Plan
from codeq_fake.simulation.story import Scene, lines_of, tell
from codeq_fake.simulation.story_page import page
from tests.simulation.worlds import Run


def scene(run: Run, plan: Plan = Plan(1), *, log: tuple[Entry, ...] = (), effects: tuple[Effects, ...] = ()) -> Scene:  # noqa: B008 - a plan is frozen
    return Scene(plan, run.evidence(), log, {one.name: one.entries for one in effects})


def test_the_story_of_a_worker_that_stood_still(run: Run) -> None:
    hosts = iter(("worker-1", "worker-2"))
    charges = Effects("charge", now=run.now, host=lambda: next(hosts), leases=run.leases)
    run.fake.next(ids=["0f0f0f0f-0000-4000-8000-000000000001"], delays=[3])
    task = run.create()
    run.advance(2)
    run.claim("worker-2")
    run.advance(10)
    run.heartbeat("worker-2", task)
    run.advance(10)
    run.heartbeat("worker-2", task)
    run.advance(70)
    run.claim("worker-1")
    run.advance(10)
    run.claim("worker-1")
    charges.record(1, task=task, key="order-1")
    run.advance(1)
    charges.record(1, task=task, key="order-1")
    run.advance(1)
    run.finish("worker-2", task)
    run.finish("worker-1", task)
    plan = Plan(1, (Event(24.0, "pause", "worker-2", {"lasts": 68.0}),))
    log = (Entry(0.0, "worker-1", "started"), Entry(0.0, "worker-2", "started"), Entry(0.0, "worker-3", "started"))
    assert tell(scene(run, plan, log=log, effects=(charges,)), [task]).splitlines() == [
        "The weather:",
        "  worker-2 stood still from 24.0 s to 92.0 s",
        "",
        "The tasks:",
        f'  task 1 ({task}): CHARGE {{"order": 1}}, COMPLETED after 3 attempts',
        "",
        "worker-1:",
        "      0.0 s  started",
        "    102.0 s  claimed task 1, with a lease until 162.0 s",
        "    102.0 s  CHARGE 1 for task 1 with key order-1",
        "    104.0 s  sent the result of task 1",
        "",
        "worker-2:",
        "      0.0 s  started",
        "      2.0 s  claimed task 1, with a lease until 62.0 s",
        "     12.0 s  renewed the lease of task 1 2 times, last until 82.0 s",
        "    103.0 s  CHARGE 1 for task 1 with key order-1, although worker-1 held the task since 102.0 s",
        "    104.0 s  result of task 1: 403 not-owner",
        "",
        "codeq:",
        "     92.0 s  task 1: lease expired",
        "    102.0 s  task 1: came due",
    ]


def test_a_task_comes_due_before_the_claim_that_gets_it(run: Run) -> None:
    run.fake.next(delays=[3])
    task = run.create()
    run.claim("worker-1", lease=30)
    run.advance(40)
    run.claim("worker-2")
    run.advance(10)
    run.claim("worker-2")
    assert [(line.at, line.text) for line in lines_of(scene(run), [task])] == [
        (0.0, "claimed task 1, with a lease until 30.0 s"),
        (40.0, "task 1: lease expired"),
        (50.0, "task 1: came due"),
        (50.0, "claimed task 1, with a lease until 110.0 s"),
    ]


def test_what_happened_to_requests_on_their_way_is_told_of_the_tasks_concerned(run: Run) -> None:
    told, other = run.create(), run.create()
    run.claim("worker-1")
    tasks, way = "POST /v1/codeq/tasks", ": 429 from a proxy"
    log = (
        Entry(1.0, "worker-1", f"{tasks}/{told}/result{way}", "refusal"),
        Entry(2.0, "worker-1", f"{tasks}/{told}/heartbeat{way}", "refusal"),
        Entry(3.0, "worker-1", f"{tasks}/{other}/result{way}", "refusal"),
        Entry(4.0, "worker-1", f"{tasks}/claim{way}", "refusal"),
        Entry(5.0, "worker-1", "a request was lost", "refusal"),
        Entry(6.0, "worker-2", "a reply was lost", "refusal"),
    )
    refused = [line.text for line in lines_of(scene(run, log=log), [told]) if line.kind == "refusal"]
    assert refused == [
        "result of task 1: 429 from a proxy",
        "heartbeat for task 1: 429 from a proxy",
        "POST /v1/codeq/tasks/claim: 429 from a proxy",
        "a request was lost",
    ]


def test_a_calm_run_says_so_and_other_tasks_are_not_told(run: Run) -> None:
    told, other = run.create(), run.create()
    run.claim("worker-1")
    run.claim("worker-2")
    story = tell(scene(run), [told])
    assert "the weather was calm" in story
    assert "worker-1:" in story
    assert "worker-2" not in story
    assert other not in story


def test_a_race_is_told_as_that_race(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    run.fake.race("revoke_lease", task)
    lines = lines_of(scene(run), [task])
    assert Entry(0.0, "codeq", "task 1: lease revoked (race Z3)", "server") in lines


def test_the_page_has_a_lane_for_each_host_and_shows_texts_as_they_are(run: Run) -> None:
    task = run.create()
    run.claim("worker-2")
    told = page(scene(run), [task], title="orders, seed 7", failure="ValueError: <b>1</b>")
    assert '<th scope="col">worker-1</th><th scope="col">worker-2</th><th scope="col">worker-3</th>' in told
    claimed = 'claimed <a href="#task-1">task 1</a>, with a lease until 60.0 s'
    assert f'<td></td><td class="request" data-lane="worker-2">{claimed}</td><td></td>' in told
    assert '<pre class="failure">ValueError: &lt;b&gt;1&lt;/b&gt;</pre>' in told


def test_the_page_draws_weather_leases_and_effects_on_the_lanes(run: Run) -> None:
    hosts = iter(("worker-2", "worker-1"))
    charges = Effects("charge", now=run.now, host=lambda: next(hosts), leases=run.leases)
    task = run.create()
    run.claim("worker-2")
    run.advance(10)
    charges.record(1, task=task)
    charges.record(1, task=task)
    run.advance(5)
    run.finish("worker-2", task)
    run.advance(85)
    plan = Plan(1, (Event(20.0, "pause", "worker-1", {"lasts": 30.0}),))
    told = page(scene(run, plan, effects=(charges,)), [task], title="", failure="", command="codeq-fake simulate x")
    bars = re.findall(r'<a class="(.*?)" style="(.*?)" href="(.*?)"', told)
    assert bars == [
        ("event", "left: 20.0%; width: 30.0%", "#weather"),
        ("effect wrong of-1", "left: 10.0%", "#task-1"),
        ("lease of-1", "left: 0.0%; width: 15.0%", "#task-1"),
        ("effect of-1", "left: 10.0%", "#task-1"),
    ]
    assert '<tr id="task-1" class="of-1">' in told
    assert "<pre>codeq-fake simulate x</pre>" in told


def test_a_lease_lasts_until_it_is_over_or_another_worker_has_the_task(run: Run) -> None:
    run.fake.next(delays=[3])
    task = run.create()
    run.claim("worker-1", lease=30)
    run.advance(40)
    run.claim("worker-2")
    run.advance(10)
    run.claim("worker-2")
    run.fake.race("lose_task", task)
    run.advance(100)
    holdings = [(held.worker, held.begin, held.end) for held in run.leases().holdings(task)]
    assert holdings == [("worker-1", 0, 30), ("worker-2", 50, 110)]
