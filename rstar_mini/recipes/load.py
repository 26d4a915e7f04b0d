"""Loading recipes: a shipped name or a YAML file, `key=value` changes on top, and errors that help."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from rstar_mini.api_key import name_host
from rstar_mini.errors import UserError
from rstar_mini.offline import check_url
from rstar_mini.recipes.schema import Recipe
from rstar_mini.yaml_text import MOST, load_yaml

SHIPPED = Path(__file__).parent
_LONGEST = 200  # characters of a value that an error shows


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    return sorted(file.stem for file in SHIPPED.glob("*.yaml"))


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """A checked recipe.

    Args:
        name_or_path: a shipped recipe's name (see `recipe_names`), or the path of a YAML file.
        overrides: changes such as "search.c=1.5" or "rounds.0.candidates=5"; values are YAML.

    Raises:
        UserError: in one line, the file, the key, what is wrong with it, and the nearest valid key.
    """
    data = _read(name_or_path)
    sources: dict[str, str] = {}
    for override in overrides:
        key = _apply(data, override)
        sources[key] = f"--set {override}"
    try:
        recipe = Recipe.model_validate(data)
    except (ValidationError, RecursionError) as error:
        rows = error.errors(include_url=False) if isinstance(error, ValidationError) else []
        problems = [_explain(row, name_or_path, sources) for row in rows]
        raise UserError("; ".join(problems) or f"recipe {name_or_path}: it is nested too deep") from error
    if recipe.policy.url:
        check_url(recipe.policy.url)
        if sources.keys() & {"policy", "policy.url"}:
            name_host(recipe.policy.url)
    return recipe


def differences(a: Recipe, b: Recipe) -> list[str]:
    """What `b` changes in `a`, such as ["search.c: 2.0 -> 1.5"]."""
    return list(_changes("", a.model_dump(mode="json"), b.model_dump(mode="json")))


def _read(name_or_path: str) -> dict[str, Any]:
    names = recipe_names()
    path = SHIPPED / f"{name_or_path}.yaml" if name_or_path in names else Path(name_or_path)
    try:
        with path.open(encoding="utf-8") as file:
            data = load_yaml(file.read(MOST + 1))
    except FileNotFoundError as error:
        near = "".join(f"; did you mean {name}?" for name in difflib.get_close_matches(name_or_path, names, 1))
        shipped = ", ".join(names)
        raise UserError(f"recipe {name_or_path}: no such file or shipped recipe (shipped: {shipped}){near}") from error
    except OSError as error:
        raise UserError(f"recipe {name_or_path}: {error.strerror}; give a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"recipe {name_or_path}{_place(error)}: not valid YAML: {_reason(error)}") from error
    if not isinstance(data, dict):
        raise UserError(f"recipe {name_or_path}: must be a mapping of keys to values, such as 'name: mine'")
    return data


def _place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}" if mark else ""


def _reason(error: Exception) -> str:
    return str(getattr(error, "problem", None) or " ".join(str(error).split()))


def _apply(data: dict[str, Any], override: str) -> str:
    """Write one "key=value" into the nested data and give the key back."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"--set {override}: must be KEY=VALUE, such as search.c=1.5")
    value = _value_of(key, text, override)
    *parents, last = key.split(".")
    place: Any = data
    for part in parents:
        place = _item(place, part, override)
    if isinstance(place, list):
        _item(place, last, override)
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise UserError(f"--set {override}: '{'.'.join(parents)}' is a single value and has no keys below it")
    return key


def _value_of(key: str, text: str, override: str) -> Any:
    """A value as YAML; but a text, such as a path, as it stands: YAML would cut it at " #", for example."""
    if _is_text(key) and not text.startswith(("'", '"')) and text not in ("", "null", "~"):
        return text
    try:
        return load_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {override}: the value is not valid YAML: {_reason(error)}") from error


def _is_text(key: str) -> bool:
    """Whether the schema has a text here."""
    *parents, name = key.split(".")
    try:
        field = _section([part for part in parents if not part.isdecimal()]).model_fields[name]
    except KeyError:  # no such key, which is said later
        return False
    return str in (field.annotation, *get_args(field.annotation)) and get_origin(field.annotation) is not list


def _item(place: Any, part: str, override: str) -> Any:
    """What lies under `part`; a section that the file leaves out is made, an entry of a list must be there."""
    if isinstance(place, list):
        if not part.isdecimal() or int(part) >= len(place):
            raise UserError(f"--set {override}: '{part}' must be a number from 0 to {len(place) - 1}")
        return place[int(part)]
    if isinstance(place, dict):
        return place.setdefault(part, {})
    return place


def _explain(error: Any, name_or_path: str, sources: dict[str, str]) -> str:
    """One problem that pydantic found, as text: where, which key, what, and the nearest key."""
    location = tuple(part for part in error["loc"] if part != "[key]")
    key = ".".join(map(str, location))
    changed = (text for name, text in sources.items() if f"{key}.".startswith(f"{name}."))
    source = next(changed, f"recipe {name_or_path}")
    if error["type"] == "extra_forbidden":
        return f"{source}: {key}: unknown key; {_suggestion(location)}"
    if error["type"] == "missing":
        return f"{source}: {key}: missing; it must be given"
    if error["type"] == "model_type":
        return f"{source}: {key}: {_value(error['input'])} is wrong: it should be a mapping of keys to values"
    if error["type"] == "value_error":  # the schema's own words, about keys that do not go together
        return f"{source}: {key}: {error['ctx']['error']}"
    return f"{source}: {key}: {_value(error['input'])} is wrong: {error['msg'].replace('Input should', 'it should')}"


def _suggestion(location: tuple[Any, ...]) -> str:
    """The nearest valid key: first among the section's own keys, then anywhere in the recipe."""
    *parents, name = location
    prefix = "".join(f"{part}." for part in parents)
    own = list(_section(parents).model_fields)
    if near := difflib.get_close_matches(str(name), own, 1):
        return f"did you mean {prefix}{near[0]}?"
    elsewhere = {key.rpartition(".")[2]: key for key in reversed(list(_keys("", Recipe)))}
    if near := difflib.get_close_matches(str(name), list(elsewhere), 1):
        return f"did you mean {elsewhere[near[0]]}?"
    return f"valid here: {', '.join(own)}"


def _section(parents: Sequence[Any]) -> type[BaseModel]:
    """The schema of the section at this place."""
    section: type[BaseModel] = Recipe
    for part in parents:
        if isinstance(part, str):
            section = _inner(section.model_fields[part].annotation) or section
    return section


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, itself or in a list."""
    types = (annotation, *get_args(annotation))
    return next((kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _keys(prefix: str, section: type[BaseModel]) -> Iterator[str]:
    """Every key of a recipe, dotted; the rounds are shown by the first."""
    for name, field in section.model_fields.items():
        inner = _inner(field.annotation)
        index = "0." if get_origin(field.annotation) is list else ""
        yield from _keys(f"{prefix}{name}.{index}", inner) if inner else (f"{prefix}{name}",)


def _changes(key: str, a: Any, b: Any) -> Iterator[str]:
    if a == b:
        return
    if isinstance(a, list) and isinstance(b, list) and any(isinstance(row, dict) for row in (*a, *b)):
        a, b = dict(enumerate(a)), dict(enumerate(b))
    if isinstance(a, dict) and isinstance(b, dict):
        for name in a | b:
            yield from _changes(f"{key}.{name}" if key else str(name), a.get(name), b.get(name))
    else:
        yield f"{key}: {_value(a)} -> {_value(b)}"


def _value(value: Any) -> str:
    """A value as it would stand in YAML, or the beginning of a long one."""
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
