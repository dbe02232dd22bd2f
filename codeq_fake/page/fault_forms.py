"""The forms for faults: the blanks of a recipe, the fields of a kind; and what a struck request met."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from codeq_fake.faults.recipes import RECIPES, Recipe
from codeq_fake.faults.rule import CALLBACK, KINDS, NOTICE
from codeq_fake.http.faults.matching import NAMES

#: The fields of a rule that only some kinds take, as the page names them.
_ARGUMENTS = ("seconds", "how", "status", "retryAfter", "headers", "body")
#: The names of `Rule` for those that have another one in JSON.
_RULE_NAMES: Mapping[str, str] = MappingProxyType({"retryAfter": "retry_after"})

_OCCASIONS = (*(name for name in NAMES if " " not in name), CALLBACK, NOTICE)


#: What became of a request and of its reply, by the fault that struck it. Other faults leave the reply as it is.
_CONSEQUENCES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "drop_reply": ("It was carried out. The connection died before the reply.", "never arrived"),
        "refuse": ("It was not carried out: the fault rule answered in the server's place.", ""),
        "reset": ("It was not carried out, and the connection was reset.", ""),
        "garble": ("It was carried out. Only half of the reply arrived.", "arrived in half"),
        "hang": ("It was held back until the rule was removed, or until its client hung up.", ""),
        "delay": ("It was held back before it was carried out.", ""),
    }
)


def consequence(kind: str) -> str:
    """What a fault of this kind has done to a request."""
    return _CONSEQUENCES[kind][0] if kind in _CONSEQUENCES else KINDS[kind].about


def arrival(faults: Collection[str]) -> str:
    """What happened to the reply on its way: `never arrived`, for example, or an empty text."""
    return next((fate for kind in faults if (fate := _CONSEQUENCES.get(kind, ("", ""))[1])), "")


@dataclass(frozen=True, slots=True)
class RecipeForm:
    """The form for a recipe, which is sent with the number of the recipe."""

    number: int
    recipe: Recipe

    @property
    def parts(self) -> Sequence[str]:
        """The parts of the sentence, of which every second one is a blank's name."""
        beginning, *others = self.recipe.parts
        return (beginning.capitalize(), *others)

    @property
    def example(self) -> str:
        """The sentence with its blanks filled by the example."""
        return self.recipe.written_example.capitalize()


def recipe_forms() -> list[RecipeForm]:
    """The forms of all recipes."""
    return [RecipeForm(number, recipe) for number, recipe in enumerate(RECIPES)]


@dataclass(frozen=True, slots=True)
class KindForm:
    """What the form for a rule of one kind needs: its sentence, the occasions to choose from, and its arguments."""

    name: str
    about: str
    occasions: Sequence[str]
    arguments: Collection[str]

    @classmethod
    def of(cls, name: str) -> KindForm:
        """The form for rules of this kind. Raises KeyError."""
        kind = KINDS[name]
        allowed = kind.only or kind.on | {*_OCCASIONS} - {CALLBACK, NOTICE}
        arguments = [name for name in _ARGUMENTS if _RULE_NAMES.get(name, name) in kind.takes]
        return cls(name, kind.about, [name for name in _OCCASIONS if name in allowed], arguments)
