"""pydantic's errors as sentences about a study."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pytest_llem.errors import LlemError
from pytest_llem.study.document import MOST_PROBLEMS, Json, Key
from pytest_llem.study.wording import did_you_mean, listed, shown

_PLAIN = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "none_required": "null",
    "finite_number": "a finite number",
    "string_too_short": "text that is not empty",
}
_LIMITS = {
    "greater_than_equal": ("ge", "a value at least {:g}"),
    "greater_than": ("gt", "a value above {:g}"),
    "less_than_equal": ("le", "a value at most {:g}"),
    "less_than": ("lt", "a value below {:g}"),
    "too_long": ("max_length", "a list of at most {}"),
}
_YAML_1_1 = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


class Mistake(NamedTuple):
    """What is wrong at a key. ``together``: each field is fine by itself, and a model refuses them together."""

    key: Key
    message: str
    hint: str | None = None
    kind: Literal["value", "missing", "together"] = "value"


class Fields(NamedTuple):
    """What is below a path: whether it takes a list, has fields of its own, or is a mapping with any keys."""

    many: bool
    inner: bool
    open: bool


@cache
def fields(model: type[BaseModel]) -> dict[tuple[str, ...], Fields]:
    """Every path in a model, through unions, models and lists of models."""
    found: dict[tuple[str, ...], Fields] = {}
    for name, info in model.model_fields.items():
        options = list(_options(info.annotation))
        models = [option for option in options if _is_model(option)]
        origins = {get_origin(option) for option in options}
        found[(name,)] = Fields(list in origins, bool(models), dict in origins and not models)
        for inner in models:
            found |= {(name, *path): below for path, below in fields(inner).items()}
    return found


def _options(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation; a list and what it holds are both."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _options(arguments[0])
    elif origin in (Union, types.UnionType):
        for option in arguments:
            yield from _options(option)
    else:
        yield annotation
        if origin is list:
            yield from _options(arguments[0])


def single_mistakes(model: type[BaseModel], data: Json) -> list[Mistake]:
    """What is wrong with single values: what is missing, or does not fit together, may come right with other values."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        return [mistake for mistake in explained(error, data, model) if mistake.kind == "value"]
    return []


def explained(error: ValidationError, data: Json, model: type[BaseModel]) -> list[Mistake]:
    """A mistake for each wrong key of ``data``; the options of a union become one sentence.

    No more sentences are made than are shown: a hint costs time, and a hostile file has 100,000 mistakes.
    """
    by_key: dict[Key, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_key.setdefault(_key(detail, data), []).append(detail)
    deeper = {key[:length] for key in by_key for length in range(len(key))}
    found = [_mistake(key, group, model) for key, group in islice(by_key.items(), MOST_PROBLEMS + 1)]
    return [mistake for mistake in found if mistake.kind == "together" or mistake.key not in deeper]


def _key(detail: ErrorDetails, data: Json) -> Key:
    """The error's location without the names that pydantic gives to a union's members."""
    key: list[str | int] = []
    for part in detail["loc"]:
        if isinstance(data, dict) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        key.append(part)
    if detail["type"] == "missing":
        key.append(detail["loc"][-1])
    return tuple(key)


def _mistake(key: Key, group: Sequence[ErrorDetails], model: type[BaseModel]) -> Mistake:
    first = group[0]
    if first["type"] == "extra_forbidden":
        above = tuple(part for part in key[:-1] if isinstance(part, str))
        return Mistake(key, "unknown key", did_you_mean(str(key[-1]), _below(model, above)))
    if first["type"] == "missing":
        return Mistake(key, "is missing", None, "missing")
    if first["type"] == "value_error":
        refused = first["ctx"]["error"]
        if isinstance(refused, LlemError):
            return Mistake(key, refused.message, refused.hint)
        together = isinstance(first["input"], dict | BaseModel)
        return Mistake(key, str(refused), None, "together" if together else "value")
    expected = list(dict.fromkeys(part for detail in group for part in _expected(detail)))
    value = first["input"]
    return Mistake(key, f"expected {listed(expected)}, got {shown(value)}", _hint(value, expected))


def _below(model: type[BaseModel], above: tuple[str, ...]) -> list[str]:
    """The names of the fields of what lies at ``above``, through mappings whose keys may be any."""
    found: list[Any] = [model]
    for part in above:
        options = [option for one in found for option in _at(one, part)]
        found = [option for option in options if get_origin(option) is dict or _is_model(option)]
    return [name for one in found if _is_model(one) for name in one.model_fields]


def _at(holder: Any, key: str) -> Iterator[Any]:
    """The alternatives of what a model or a mapping holds under ``key``."""
    if get_origin(holder) is dict:
        yield from _options(get_args(holder)[1])
    elif key in holder.model_fields:
        yield from _options(holder.model_fields[key].annotation)


def _is_model(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, BaseModel)


def _expected(detail: ErrorDetails) -> list[str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "model_type" and context["class_name"] in ("ModelSpec", "DatasetSpec"):
        return ["text", "a mapping"]
    if kind in _PLAIN:
        return [_PLAIN[kind]]
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return [words.format(context[name])]
    if kind == "literal_error":
        return [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
    return [detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")]


def _hint(value: object, expected: Sequence[str]) -> str | None:
    if isinstance(value, str):
        if "true or false" in expected and value.lower() in _YAML_1_1:
            return f"write {_YAML_1_1[value.lower()]}"
        if {"a whole number", "a number"} & set(expected) and (plain := _plain_number(value)):
            return f"write {plain}"
        return did_you_mean(value, expected)
    if isinstance(value, float) and "a whole number" in expected and value.is_integer():
        return f"write {int(value)}"
    return None


def _plain_number(text: str) -> str | None:
    try:
        number = float(text.replace("_", "")[:40])
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return str(int(number)) if number.is_integer() and "." not in text else str(number)
