from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import nibabel
import numpy as np
import pytest
from cases import OBLIQUE, save, volume, with_header_fields

from brats_trt import CaseError
from brats_trt.nifti import read_nifti

NIFTI_DTYPES = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def assert_is_nibabels(path):
    ours, theirs = read_nifti(path), nibabel.load(path)
    assert np.array_equal(ours.data, theirs.dataobj.get_unscaled())
    np.testing.assert_allclose(ours.data * ours.slope + ours.intercept, theirs.get_fdata(), rtol=1e-12)
    assert np.array_equal(ours.affine, theirs.affine)
    assert not ours.data.flags.writeable
    assert ours.data.flags.f_contiguous


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", NIFTI_DTYPES)
def test_every_dtype_reads_as_nibabel_reads_it(tmp_path, dtype, kind, ending):
    assert_is_nibabels(save(tmp_path / f"a{ending}", volume(dtype=dtype), kind=kind))


def test_big_endian_reads_as_nibabel_reads_it(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(volume(), OBLIQUE, header), tmp_path / "a.nii.gz")
    assert read_nifti(tmp_path / "a.nii.gz").data.dtype == np.dtype(">i2")
    assert_is_nibabels(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(("slope", "intercept"), [(2.5, -10.0), (0.0, 3.0), (-1.0, 0.5)])
def test_slope_and_intercept_read_as_nibabel_reads_them(tmp_path, slope, intercept):
    path = save(tmp_path / "a.nii.gz", volume(), slope=slope, intercept=intercept)
    assert_is_nibabels(path)
    assert read_nifti(path).slope == (slope or 1.0)


def test_extensions_are_skipped(tmp_path):
    image = nibabel.Nifti1Image(volume(), OBLIQUE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, b"x" * 5000))
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert_is_nibabels(tmp_path / "a.nii.gz")


def test_trailing_axes_of_one_are_dropped(tmp_path):
    path = save(tmp_path / "a.nii", volume()[..., None, None])
    assert read_nifti(path).data.shape == volume().shape


def test_a_file_of_several_gzip_members_reads_whole(tmp_path):
    content = nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()
    cuts = [0, 100, 352, 1000, len(content)]
    members = [gzip.compress(content[a:b]) for a, b in pairwise(cuts)]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(members))
    assert_is_nibabels(tmp_path / "a.nii.gz")


def test_bytes_after_the_voxels_are_left_alone(tmp_path):
    content = nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content + b"\0" * 100) + b"\0" * 7)
    assert np.array_equal(read_nifti(tmp_path / "a.nii.gz").data, volume())


def refused(path, message):
    with pytest.raises(CaseError, match=message) as fault:
        read_nifti(path)
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


def with_header(path, **fields):
    path.write_bytes(with_header_fields(save(path, volume()).read_bytes(), **fields))
    return path


def test_a_missing_file_a_folder_and_another_format_are_refused(tmp_path):
    refused(tmp_path / "a.nii.gz", "no such file")
    (tmp_path / "b.nii").mkdir()
    refused(tmp_path / "b.nii", "cannot be read")
    refused(tmp_path / "c.mgz", "expected .nii")


@pytest.mark.parametrize("content", [b"", b"plain text, long enough to be a header" * 20])
def test_what_is_no_gzip_or_no_nifti_is_refused(tmp_path, content):
    (tmp_path / "a.nii.gz").write_bytes(content)
    refused(tmp_path / "a.nii.gz", "empty|not gzip")
    (tmp_path / "a.nii").write_bytes(content)
    refused(tmp_path / "a.nii", "not a NIfTI")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content))
    refused(tmp_path / "b.nii.gz", "not a NIfTI")


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.999])
def test_a_truncated_gzip_is_refused(tmp_path, kept):
    path = save(tmp_path / "a.nii.gz", volume())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refused(path, "truncated|not a NIfTI")


def test_a_gzip_that_lost_its_checksum_is_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", volume())
    path.write_bytes(path.read_bytes()[:-6])
    refused(path, "truncated")


def test_a_gzip_with_a_wrong_checksum_is_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", volume())
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(bytes(content))
    refused(path, "damaged gzip")


def test_a_gzip_with_flipped_bits_is_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", volume())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(bytes(content))
    refused(path, "damaged gzip|truncated")


def test_a_nifti_that_ends_early_is_refused(tmp_path):
    content = save(tmp_path / "a.nii", volume()).read_bytes()[:-1]
    (tmp_path / "a.nii").write_bytes(content)
    refused(tmp_path / "a.nii", "truncated: .* bytes where the header promises")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content))
    refused(tmp_path / "b.nii.gz", "truncated: .* bytes inside")


@pytest.mark.parametrize("dtype", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_complex_and_rgb_voxels_are_refused(tmp_path, dtype):
    refused(save(tmp_path / "a.nii", np.zeros((4, 4, 4), dtype)), "complex|RGB")


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 1, 8)])
def test_a_flat_image_is_refused(tmp_path, shape):
    refused(save(tmp_path / "a.nii", np.ones(shape, np.int16)), "expected a volume")


@pytest.mark.parametrize(
    ("dim", "message"),
    [
        ([3, 1025, 4, 4, 1, 1, 1, 1], "at most 1024"),
        ([3, 1024, 1024, 1024, 1, 1, 1, 1], "truncated"),
        ([3, -4, 4, 4, 1, 1, 1, 1], "positive"),
        ([3, 0, 4, 4, 1, 1, 1, 1], "positive"),
        ([5, 4, 4, 4, 4, 4, 1, 1], "expected a volume"),
        ([0, 4, 4, 4, 1, 1, 1, 1], "dimensions"),
        ([9, 4, 4, 4, 1, 1, 1, 1], "dimensions|damaged|not a NIfTI"),
    ],
)
def test_a_header_of_impossible_or_excessive_size_is_refused(tmp_path, dim, message):
    refused(with_header(tmp_path / "a.nii", dim=dim), message)


def test_more_than_two_gibibytes_are_refused(tmp_path):
    path = with_header(tmp_path / "a.nii", dim=[3, 1024, 1024, 1024, 1, 1, 1, 1], datatype=16, bitpix=32)
    refused(path, "4.0 GiB of voxels")


def test_a_bomb_is_not_inflated_beyond_what_the_header_promises(tmp_path):
    content = nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(content) + b"".join(packer.compress(b"\0" * 2**20) for _ in range(64)) + packer.flush()
    (tmp_path / "a.nii.gz").write_bytes(packed)
    image = read_nifti(tmp_path / "a.nii.gz")
    assert np.array_equal(image.data, volume())
    assert len(image.data.base) <= len(content) + 1


def test_an_unknown_data_type_is_refused(tmp_path):
    refused(with_header(tmp_path / "a.nii", datatype=7777), "not known")


@pytest.mark.parametrize("slope", [np.inf, -np.inf])
def test_a_slope_that_is_not_finite_is_refused(tmp_path, slope):
    refused(with_header(tmp_path / "a.nii", scl_slope=slope), "not finite")


def test_an_affine_that_flattens_space_is_refused(tmp_path):
    refused(with_header(tmp_path / "a.nii", srow_x=[0, 0, 0, 0]), "does not map voxels")
    refused(with_header(tmp_path / "b.nii", srow_y=[np.nan, 1, 1, 1]), "does not map voxels")


@pytest.mark.parametrize("offset", [np.nan, np.inf, -np.inf, -1, 0, 348, 1e12])
def test_voxels_that_cannot_lie_where_the_header_says_are_refused(tmp_path, offset):
    refused(with_header(tmp_path / "a.nii", vox_offset=offset), "puts the voxels at byte")
