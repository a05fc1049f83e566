"""PNG files: their names and their bytes, which carry the notice and a run's record as text."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..errors import CaseError
from ..files import refuse_existing
from ..notice import NOTICE
from ..records import RunRecord
from ..records.reading import PNG_KEYWORD

NOTICE_KEY = "Disclaimer"  # a keyword that the PNG specification names
_COMPRESSION = 6  # of zlib's 0 to 9; the highest takes four times as long and saves 8 %


def encode_png(picture: Image.Image, record: RunRecord | None = None) -> bytes:
    """A picture as the bytes of a PNG, with the record of the run that it shows."""
    texts = PngInfo()
    texts.add_text(NOTICE_KEY, NOTICE)
    if record is not None:
        texts.add_text(PNG_KEYWORD, record.to_json())
    stream = BytesIO()
    picture.save(stream, format="PNG", compress_level=_COMPRESSION, pnginfo=texts)
    return stream.getvalue()


def check_png_target(target: Path, *, overwrite: bool) -> None:
    """Check the name of a picture to be written.

    Raises
    ------
    CaseError
        If it does not end in .png, or exists without `overwrite`.
    """
    if target.suffix.lower() != ".png":
        raise CaseError(f"{target}: expected a name that ends in .png: rename the output")
    refuse_existing(target, overwrite=overwrite)
