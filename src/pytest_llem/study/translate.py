"""pydantic's errors as sentences about a study file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pytest_llem.study.document import Json, Key
from pytest_llem.study.problems import MOST_PROBLEMS, did_you_mean, listed, shown

MISSING = "is missing"
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
}
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}
_YAML_1_1 = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False)


def is_combination(detail: ErrorDetails) -> bool:
    """Whether each field is fine by itself and a model refuses them together."""
    return detail["type"] == "value_error" and isinstance(detail["input"], dict | BaseModel)


def combination_text(detail: ErrorDetails, section: Sequence[str] = ()) -> str:
    """What the model said; ``section`` is where it sits."""
    at = ".".join(str(part) for part in (*section, *detail["loc"]))
    return f"{at}: {detail['ctx']['error']}" if at else str(detail["ctx"]["error"])


def sentences(found: Sequence[ErrorDetails], data: Json, model: type[BaseModel]) -> list[tuple[Key, str, str | None]]:
    """(key path in ``data``, sentence, hint), one for each wrong key; the options of a union become one sentence.

    No more sentences are made than are shown: a hint costs time, and a hostile file has 100,000 mistakes.
    """
    by_key: dict[Key, list[ErrorDetails]] = {}
    for detail in found:
        by_key.setdefault(_key(detail, data), []).append(detail)
    deeper = {key[:length] for key in by_key for length in range(len(key))}
    return [
        (key, *_sentence(key, group, model))
        for key, group in islice(by_key.items(), MOST_PROBLEMS + 1)
        if key not in deeper or any(is_combination(detail) for detail in group)
    ]


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


def _sentence(key: Key, group: Sequence[ErrorDetails], model: type[BaseModel]) -> tuple[str, str | None]:
    first = group[0]
    context: Mapping[str, Any] = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        return "unknown key", did_you_mean(str(key[-1]), _siblings(model, first["loc"]))
    if first["type"] == "missing":
        return MISSING, None
    if first["type"] == "value_error":
        return str(context["error"]), None
    expected = list(dict.fromkeys(part for detail in group for part in _expected(detail)))
    value = first["input"]
    return f"expected {listed(expected)}, got {shown(value)}", _hint(value, expected)


def _expected(detail: ErrorDetails) -> list[str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "model_type" and context["class_name"] in ("ModelSpec", "DatasetSpec"):
        return ["text", "a mapping"]
    if kind in _PLAIN:
        return [_PLAIN[kind]]
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return [f"a value {words} {context[name]:g}"]
    if kind == "literal_error":
        return [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
    if kind == "string_too_short":
        return ["text that is not empty"]
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
    digits = text.replace("_", "").strip()
    try:
        number = float(digits) if len(digits) < 40 else None
    except ValueError:
        return None
    return None if number is None else str(int(number)) if number.is_integer() and "." not in digits else str(number)


def _siblings(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The names that are known where an unknown one was found."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field is not None else None
        model = inner or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None
