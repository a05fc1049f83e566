from __future__ import annotations

import gzip
import tempfile
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_trt import CaseError
from brats_trt.nifti import NiftiImage, read_nifti

PLAIN = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)).to_bytes()
SECOND = nibabel.Nifti2Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)).to_bytes()


def read(content: bytes, ending: str) -> NiftiImage | None:
    """The image, or None where the reader refuses it in one line. Anything else fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{ending}"
        path.write_bytes(content)
        tracemalloc.start()
        image, message = None, ""
        try:
            image = read_nifti(path)
        except CaseError as fault:
            message = str(fault)
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert image is not None or str(path) in message
    assert "\n" not in message
    return image


def changed(content: bytes, edits: list[tuple[int, int]]) -> bytes:
    out = bytearray(content)
    for where, value in edits:
        out[where % len(out)] = value
    return bytes(out)


MOST_MEMORY = 2**20  # bytes, for files of under 1 kB, whatever they promise
EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=12)
HEADER_EDITS = st.lists(st.tuples(st.integers(0, 543), st.integers(0, 255)), min_size=1, max_size=12)
EXTREMES = [np.nan, np.inf, -np.inf, -1, 0, 1, 4, 347, 352, 1025, 32767, 2**31 - 1, -(2**31), 2**62, 1e30, 1e-40, 1e300]


def replaced(field: np.ndarray, at: int, value: float) -> np.ndarray:
    """A header's field with one of its numbers changed, brought into the range of its type."""
    out = np.array(field)
    if out.dtype.kind in "iu":
        limits = np.iinfo(out.dtype)
        value = 0 if np.isnan(value) else int(min(max(value, int(limits.min)), int(limits.max)))
    out.reshape(-1)[at] = value
    return out


@st.composite
def files_at_extremes(draw):
    """A file whose header holds, in some numeric fields, values that readers stumble over."""
    header_class, original = draw(st.sampled_from([(nibabel.Nifti1Header, PLAIN), (nibabel.Nifti2Header, SECOND)]))
    template = header_class.template_dtype
    header = header_class(original[: template.itemsize], check=False)
    numeric = [name for name in template.names if template[name].base.kind in "iuf" and name != "sizeof_hdr"]
    for name in draw(st.lists(st.sampled_from(numeric), min_size=1, max_size=3)):
        value, at = draw(st.sampled_from(EXTREMES)), draw(st.integers(0, max(header[name].size - 1, 0)))
        with np.errstate(all="ignore"):
            header[name] = replaced(header[name], at, value)
    return bytes(header.binaryblock) + original[template.itemsize :]


@settings(max_examples=300, deadline=None)
@given(edits=HEADER_EDITS, original=st.sampled_from([PLAIN, SECOND]), compress=st.booleans())
def test_any_header_gives_an_image_or_one_clear_refusal(edits, original, compress):
    check(changed(original, edits), compress)


@settings(max_examples=500, deadline=None)
@given(content=files_at_extremes(), compress=st.booleans())
def test_any_extreme_in_a_header_gives_an_image_or_one_clear_refusal(content, compress):
    check(content, compress)


def check(content: bytes, compress: bool) -> None:
    image = read(gzip.compress(content, 1) if compress else content, ".nii.gz" if compress else ".nii")
    if image is not None:
        assert image.data.nbytes <= len(content)
        assert np.isfinite(image.affine).all()


@settings(max_examples=150, deadline=None)
@given(edits=EDITS, length=st.integers(0, 400))
def test_any_damage_to_a_gzip_gives_an_image_or_one_clear_refusal(edits, length):
    packed = gzip.compress(PLAIN, 1, mtime=0)
    read(changed(packed, edits), ".nii.gz")
    assert length >= len(packed) or read(packed[:length], ".nii.gz") is None


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=800))
def test_random_bytes_are_refused(content):
    assert read(content, ".nii.gz") is None
    assert read(content, ".nii") is None
