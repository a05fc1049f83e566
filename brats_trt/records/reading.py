"""The record out of a file that carries one: a NIfTI header extension, a `<script>` of a page, a text of a PNG."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import CaseError
from ..nifti import read_extensions
from .record import LARGEST, SCHEMA, RunRecord

RECORD_CODE = 6  # NIfTI's extension code for plain text
SCRIPT_ID = "run-record"
PNG_KEYWORD = SCHEMA
_LARGEST_FILE = 256 * 1024**2  # bytes, of a page or a picture
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SCRIPT = re.compile(rb"<script\b([^<>]{0,500})>", re.IGNORECASE)
_END = re.compile(rb"</script", re.IGNORECASE)
_ID = re.compile(rb"""\bid\s*=\s*["']?run-record(?![\w-])""")
_WRITE = "give an output of `brats-trt segment`"


def read_record(path: str | os.PathLike[str]) -> RunRecord:
    """Read the record of a .nii, .nii.gz, .html or .png file that brats_trt wrote.

    Raises
    ------
    CaseError
        If the file cannot be read, holds no record or more than one, or one that is not readable.
    """
    file = Path(path)
    read = _page_records if is_page(file) else _picture_records if is_picture(file) else _nifti_records
    texts = list(read(file))
    if len(texts) != 1:
        found = f"{len(texts)} run records" if texts else "no run record"
        raise CaseError(f"{file}: holds {found}; expected one: {_WRITE}")
    return RunRecord.from_json(texts[0], str(file))


def is_page(file: Path) -> bool:
    """Whether a file's name is that of a page."""
    return file.name.lower().endswith((".html", ".htm"))


def is_picture(file: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return file.name.lower().endswith(".png")


def _nifti_records(file: Path) -> Iterator[bytes]:
    """The extensions that are a record, as their beginning says."""
    for extension in read_extensions(file):
        text = extension.content.rstrip(b"\0")
        if extension.code == RECORD_CODE and f'"{SCHEMA}"'.encode() in text[:200]:
            yield text


def _page_records(file: Path) -> Iterator[bytes]:
    """What stands in scripts of the record's id; in no other script is anything looked for."""
    page = _read_whole(file)
    at = 0
    while (script := _SCRIPT.search(page, at)) is not None:
        end = _END.search(page, script.end())
        at = len(page) if end is None else end.end()
        if not _ID.search(script[1]):
            continue
        if end is None or end.start() - script.end() > LARGEST:
            raise CaseError(f"{file}: the script that holds the run record does not end: {_WRITE}")
        yield page[script.end() : end.start()]


def _picture_records(file: Path) -> Iterator[bytes]:
    """The texts (tEXt) of the record's keyword; chunks are a length, four letters, content and a checksum."""
    picture = _read_whole(file)
    if not picture.startswith(_PNG_SIGNATURE):
        raise CaseError(f"{file}: is no PNG; {_WRITE}")
    keyword = PNG_KEYWORD.encode() + b"\0"
    at = len(_PNG_SIGNATURE)
    while at + 8 <= len(picture):
        begin = at + 8
        end = begin + int.from_bytes(picture[at : at + 4], "big")
        if end > len(picture):
            raise CaseError(f"{file}: truncated; {_WRITE}")
        if picture[at + 4 : begin] == b"tEXt" and picture.startswith(keyword, begin, end):
            yield picture[begin + len(keyword) : end]
        at = end + 4


def _read_whole(file: Path) -> bytes:
    try:
        with file.open("rb") as stored:
            content = stored.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as fault:  # ValueError: a null character in the name
        reason = getattr(fault, "strerror", None) or fault
        raise CaseError(f"{str(file)!r}: cannot be read ({reason}); {_WRITE}") from None
    if len(content) > _LARGEST_FILE:
        raise CaseError(f"{file}: a file of more than {_LARGEST_FILE // 1024**2} MiB; {_WRITE}")
    return content
