"""Text that is safe in HTML, and the pages' templates: whatever names and messages hold, a browser shows it as text."""

from __future__ import annotations

import base64
import json
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any
from urllib.parse import quote

# What would end a script element, or a line of JavaScript within a string.
_HIDDEN = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@cache
def asset(name: str) -> str:
    """A file of `assets/`."""
    return (files("brats_trt.report") / "assets" / name).read_text(encoding="utf-8")


def fill(template: str, **values: str) -> str:
    """A template with its `$names` replaced; the values are HTML already."""
    return Template(asset(template)).substitute(values)


def text(value: object) -> str:
    """A text as HTML, in an attribute too. Halves of surrogate pairs, as in odd file names, are written as escapes."""
    return escape(str(value).encode("utf-8", "backslashreplace").decode("utf-8"), quote=True)


def json_script(identity: str, document: Any) -> str:
    """A script element that holds JSON and is not run.

    Raises
    ------
    ValueError
        If the document holds a number that JSON has no word for.
    """
    content = json.dumps(document, ensure_ascii=True, allow_nan=False).translate(_HIDDEN)
    return f'<script type="application/json" id="{text(identity)}">{content}</script>'


def data_script(identity: str, content: bytes) -> str:
    """A script element that holds bytes and is not run."""
    encoded = base64.b64encode(content).decode("ascii")
    return f'<script type="application/octet-stream" id="{text(identity)}">{encoded}</script>'


def picture(png: bytes, description: str) -> str:
    """A PNG within the page."""
    encoded = base64.b64encode(png).decode("ascii")
    return f'<img src="data:image/png;base64,{encoded}" alt="{text(description)}">'


def section(identity: str, title: str, content: str) -> str:
    """A part of the page with a heading; the content is HTML already."""
    return (
        f'<section aria-labelledby="{identity}-title"><h2 id="{identity}-title">{text(title)}</h2>{content}</section>'
    )


def link(file: str) -> str:
    """A file beside the page, as an attribute's value."""
    return text(quote(f"./{file}", errors="surrogateescape"))
