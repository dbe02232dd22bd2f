"""The decorator `simulate`, by which a test becomes one of many runs. pytest collects it as any other test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial, update_wrapper
from inspect import Parameter, iscoroutinefunction
from typing import Any, get_args

from codeq_fake.compat.signatures import signature

from .search import Races, Simulation, SimulationFailedError
from .server import ServerKind
from .weather import Weather

#: The attribute by which the command finds the simulations of a file.
ATTRIBUTE = "codeq_simulation"


def simulate(
    runs: int = 100,
    *,
    seed: int = 0,
    weather: Weather | None = None,
    races: Races = "tell",
    server: ServerKind = "uvicorn",
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Run the decorated `async def test(world)` in `runs` worlds, the first of which has the seed `seed`.

    `weather` says what may go wrong, by default everything but clean-ups; what does is drawn from the seed. The first
    run in which the test raises or a law is broken ends the search. A violation that a race of the real server explains
    counts only with `races="fail"`.

    A `light` server speaks as much HTTP as clients need, with less work than uvicorn.

    Further parameters of the test are fixtures and parameters of pytest.
    """
    if runs < 1:
        raise ValueError(f"runs: found {runs}, want at least 1")
    if server not in get_args(ServerKind):
        raise ValueError(f"server: found {server!r}, want one of {', '.join(get_args(ServerKind))}")
    simulation = partial(
        Simulation, runs=runs, first_seed=seed, weather=weather or Weather(), races=races, server=server
    )
    return partial(_decorated, simulation)


def _decorated(simulation: Callable[..., Simulation], test: Callable[..., Any]) -> Callable[..., None]:
    if not iscoroutinefunction(test):
        raise TypeError(f"{test.__qualname__}: simulate decorates an async function that takes a world")
    return _collected(test, simulation(test=test, name=test.__name__))


def _collected(test: Callable[..., Any], simulation: Simulation) -> Callable[..., None]:
    """The function that pytest collects."""

    def run(**fixtures: Any) -> None:
        __tracebackhide__ = True
        _refuse_running_loop()
        bound = replace(simulation, fixtures=fixtures)
        failure = bound.first_failure(bound.seeds)
        if failure is not None:
            raise SimulationFailedError(bound.describe(failure, bound.smallest(failure))) from failure.error

    update_wrapper(run, test)
    del run.__wrapped__  # type: ignore[attr-defined]  # pytest would see an async test
    _, *others = signature(test).parameters.values()
    keywords = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in others]
    run.__signature__ = signature(test).replace(parameters=keywords)  # type: ignore[attr-defined]  # pytest reads it
    setattr(run, ATTRIBUTE, simulation)
    return run


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("a simulation has its own event loop, and cannot run inside of another one")
