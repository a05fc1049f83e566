from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
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
        try:
            return read_nifti(path)
        except CaseError as fault:
            message = str(fault)
    assert str(path) in message
    assert "\n" not in message
    return None


def changed(content: bytes, edits: list[tuple[int, int]]) -> bytes:
    out = bytearray(content)
    for where, value in edits:
        out[where % len(out)] = value
    return bytes(out)


EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=12)
HEADER_EDITS = st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=300, deadline=None)
@given(edits=HEADER_EDITS, original=st.sampled_from([PLAIN, SECOND]), compress=st.booleans())
def test_any_header_gives_an_image_or_one_clear_refusal(edits, original, compress):
    content = changed(original, edits)
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
