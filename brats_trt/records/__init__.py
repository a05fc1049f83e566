"""The record of a run that every output carries: what came in, what it was run through, what came out, and when.

It holds names of files, never of folders, and nothing of the machine but what computed. docs/record.md has every field.
"""

from __future__ import annotations

from .reading import RECORD_CODE, read_record
from .record import RunRecord

__all__ = ["RECORD_CODE", "RunRecord", "read_record"]
