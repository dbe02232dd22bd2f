"""Recipes for faults: sentences with blanks, each of which makes a rule. The page and the command line offer them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from codeq_fake.core.durations import duration
from codeq_fake.core.times import SECOND
from codeq_fake.documents import nearest

from .rule import BadFaultError

#: What fits into a blank `on` -> the `on` of a rule; None is any request.
REQUESTS: Mapping[str, str | None] = MappingProxyType(
    {
        "result": "submit",
        "completion": "complete",
        "failure": "fail",
        "claim": "claim",
        "heartbeat": "heartbeat",
        "nack": "nack",
        "abandon": "abandon",
        "create": "create",
        "request": None,
    }
)

_BLANK = re.compile(r"\{(\w+)\}")
#: A blank of a sentence -> what may stand there. A number of times may be left out.
_FORMS: Mapping[str, str] = MappingProxyType(
    {
        "{times} ": r"(?:(?P<times>\d+) )?",
        "{on}": r"(?P<on>[a-z]+?)s?",
        "{seconds}": r"(?P<seconds>[\d.]+ ?[a-z]*(?: [\d.]+ ?[a-z]+)*)",
        "{status}": r"(?P<status>\d+)",
        "{worker}": r"(?P<worker>\S+)",
    }
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A sentence with blanks in braces, each named like the field of the rule that it fills.

    `rule` are the other fields of the rule, in JSON. `example` fills the blanks; without it, `times` is 1.
    """

    sentence: str
    rule: Mapping[str, Any]
    example: Mapping[str, str]

    @property
    def parts(self) -> tuple[str, ...]:
        """The sentence in parts, of which every second one is the name of a blank."""
        return tuple(_BLANK.split(self.sentence))

    @property
    def blanks(self) -> tuple[str, ...]:
        """The names of the blanks in their order."""
        return self.parts[1::2]

    @property
    def written_example(self) -> str:
        """The sentence with its blanks filled by the example."""
        return self.written(self.example)

    def written(self, values: Mapping[str, str]) -> str:
        """The sentence with its blanks filled, as a person would write it: `the next claim`, `the next 3 claims`."""
        filled = {"times": "1", **values}
        if filled["times"] != "1":
            return self.sentence.format(**filled | {"on": f"{filled.get('on')}s"})
        return re.sub(r"next (\w+)s\b", r"next \1", self.sentence.replace("{times} ", "")).format(**filled)

    def filled(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The rule in JSON. Raises BadFaultError for a value that does not fit into its blank."""
        fields = dict(self.rule)
        for name in self.blanks:
            value = _field(name, values.get(name, "").strip())
            if value is not None:
                fields[name] = value
        return fields

    def read(self, sentence: str) -> dict[str, Any] | None:
        """The rule of a sentence in JSON; None if it is not one of this recipe. Raises BadFaultError as `filled`."""
        form = re.sub(r"\b(claim|callback)s\b", r"\1s?", self.sentence)
        for blank, what in _FORMS.items():
            form = form.replace(blank, what)
        found = re.fullmatch(form, " ".join(sentence.split()), re.IGNORECASE)
        return self.filled({name: value or "" for name, value in found.groupdict().items()}) if found else None


def _field(name: str, text: str) -> Any:  # noqa: ANN401 - any value of a rule
    """What a rule has for a text in a blank. Raises BadFaultError."""
    if name == "on":
        noun = text.lower()
        if noun not in REQUESTS:
            raise BadFaultError(f"{text!r} is no request here; known are {', '.join(REQUESTS)}")
        return REQUESTS[noun]
    with suppress(ValueError):
        if name == "seconds":
            return duration(text) / SECOND
        return int(text or "1") if name in ("times", "status") else text
    raise BadFaultError(f"{name}: {text!r} does not belong there")


_NEXT = "the next {times} {on}"

RECIPES: tuple[Recipe, ...] = (
    Recipe(f"lose the reply to {_NEXT}", {"do": "drop_reply"}, {"on": "result"}),
    Recipe(f"answer {{status}} to {_NEXT}", {"do": "refuse"}, {"status": "503", "times": "3", "on": "claim"}),
    Recipe(f"reset the connection of {_NEXT}", {"do": "reset"}, {"on": "create"}),
    Recipe(f"cut off the reply to {_NEXT}", {"do": "garble", "how": "cut"}, {"on": "claim"}),
    Recipe(f"delay {_NEXT} by {{seconds}}", {"do": "delay"}, {"times": "10", "on": "request", "seconds": "2 s"}),
    Recipe("freeze the heartbeats of worker {worker}", {"do": "hang", "on": "heartbeat"}, {"worker": "worker-dev"}),
    Recipe("end the lease of the next {times} claims", {"do": "expire_lease", "on": "claim"}, {}),
    Recipe("revoke the lease of the next {times} claims", {"do": "revoke_lease", "on": "claim"}, {}),
    Recipe("find nothing for the next {times} claims", {"do": "false_empty", "on": "claim"}, {}),
    Recipe("send callbacks {seconds} late", {"do": "callback_late"}, {"seconds": "30 s"}),
    Recipe("lose the next {times} callbacks", {"do": "callback_lost"}, {}),
    Recipe("send the next {times} callbacks twice", {"do": "callback_twice"}, {}),
)


def read_sentence(sentence: str) -> dict[str, Any]:
    """The rule in JSON of a sentence of any recipe. Raises BadFaultError, which names the nearest one."""
    for recipe in RECIPES:
        if (rule := recipe.read(sentence)) is not None:
            return rule
    examples = [recipe.written_example for recipe in RECIPES]
    meant = nearest(sentence, examples) or f"; known are, for example: {', '.join(examples[:3])}"
    raise BadFaultError(f"{sentence!r} is not a recipe{meant}")
