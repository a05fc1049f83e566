"""A JSON document into frozen dataclasses, field by field: nothing missing, nothing unknown, nothing of another type.

What a field may hold is what its annotation says: str, int, float, bool, a literal, a tuple, a mapping (any JSON
object), another dataclass, or one of these or None. A dataclass judges its values itself, when it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from ..errors import BratsTrtError

Readers = Mapping[type, Callable[[Any, str], Any]]

# As JSON calls what Python has of it.
_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false", list: "a list"}


class FieldError(ValueError):
    """A field is not as it has to be.

    Parameters
    ----------
    where
        The field with those that it lies in: "plan.sha256"; empty is the whole document.
    fault
        What came and what was expected.
    """

    def __init__(self, where: str, fault: str) -> None:
        super().__init__(f"field {where!r} {fault}" if where else f"the document {fault}")


def read_record(kind: type, document: Any, where: str, readers: Readers) -> Any:
    """Read a JSON object as a dataclass; `readers` are for dataclasses whose JSON is of another shape.

    Raises
    ------
    FieldError
        If it is none, or a field is missing, unknown, of another type, or refused by its dataclass.
    """
    names = tuple(field.name for field in fields(kind))
    return made(kind, read_fields(kind, document, where, names, readers), where)


def read_fields(
    kind: type, document: Any, where: str, names: tuple[str, ...], readers: Readers = MappingProxyType({})
) -> dict[str, Any]:
    """Read a JSON object that has exactly the named ones of a dataclass's fields.

    Raises
    ------
    FieldError
        As `read_record` does.
    """
    if not isinstance(document, dict):
        raise FieldError(where, f"is {shown(document)}; expected an object")
    for name in names:
        if name not in document:
            raise FieldError(_join(where, name), "is missing")
    for name in document:
        if name not in names:
            raise FieldError(_join(where, name), f"is not known; expected {', '.join(names)}")
    hints = _hints(kind)
    return {name: read_value(hints[name], document[name], _join(where, name), readers) for name in names}


def made(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """A dataclass of values; what it says against them is said of the field.

    Raises
    ------
    FieldError
        If the dataclass refuses the values.
    """
    try:
        return kind(**values)
    except BratsTrtError as fault:
        raise FieldError(where, f"does not fit: {fault}") from None


def read_value(hint: Any, value: Any, where: str, readers: Readers = MappingProxyType({})) -> Any:
    """Read what one field holds.

    Raises
    ------
    FieldError
        If it is not what `hint` allows.
    """
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        present = [option for option in get_args(hint) if option is not type(None)]
        return None if value is None else read_value(present[0], value, where, readers)
    if origin is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            raise FieldError(where, f"is {shown(value)}; expected one of {list(get_args(hint))}")
        return value
    if origin is tuple:
        return _read_tuple(get_args(hint), value, where, readers)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise FieldError(where, f"is {shown(value)}; expected an object")
        return value
    if hint in readers:
        return readers[hint](value, where)
    if is_dataclass(hint):
        return read_record(cast(type, hint), value, where, readers)
    return _read_plain(hint, value, where)


def _read_plain(hint: type, value: Any, where: str) -> Any:
    fits = isinstance(value, (int, float) if hint is float else hint)
    if not fits or (isinstance(value, bool) and hint is not bool):
        raise FieldError(where, f"is {shown(value)}; expected {_NAMES[hint]}")
    try:
        return float(value) if hint is float else value
    except OverflowError:
        raise FieldError(where, f"is {shown(value)}; expected a number below 1.8e308") from None


def _read_tuple(hints: tuple[Any, ...], value: Any, where: str, readers: Readers) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise FieldError(where, f"is {shown(value)}; expected a list")
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(value) != len(hints):
        raise FieldError(where, f"has {len(value)} entries; expected {len(hints)}")
    return tuple(
        read_value(hint, entry, f"{where}[{i}]", readers)
        for i, (hint, entry) in enumerate(zip(hints, value, strict=True))
    )


def shown(value: Any) -> str:
    """A value for a message, not too long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
