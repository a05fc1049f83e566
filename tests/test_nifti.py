from __future__ import annotations

import gzip
import itertools
import os
import tracemalloc
import zlib

import nibabel
import numpy as np
import pytest
from cases import OBLIQUE, save, volume, with_header_fields

from brats_trt import CaseError, nifti_content
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


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("dtype", NIFTI_DTYPES)
def test_big_endian_reads_as_nibabel_reads_it(tmp_path, dtype, kind):
    stored = np.dtype(dtype).newbyteorder(">")
    header = kind.header_class(endianness=">")
    header.set_data_dtype(stored)
    nibabel.save(kind(volume(dtype=dtype), OBLIQUE, header), tmp_path / "a.nii.gz")
    assert read_nifti(tmp_path / "a.nii.gz").data.dtype == stored
    assert_is_nibabels(tmp_path / "a.nii.gz")


def orientations():
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        matrix = np.zeros((3, 3))
        matrix[order, range(3)] = np.multiply(signs, (0.9, 1.1, 1.5))
        yield nibabel.affines.from_matvec(matrix, (-91.3, 126.2, -72.7))


@pytest.mark.parametrize("form", ["sform", "qform"])
@pytest.mark.parametrize("affine", [*orientations(), OBLIQUE])
def test_the_affine_of_every_orientation_is_nibabels_to_the_bit(tmp_path, affine, form):
    image = nibabel.Nifti1Image(volume(), affine)
    if form == "qform":
        image.header.set_qform(affine, code=1)
        image.header["sform_code"] = 0
    (tmp_path / "a.nii").write_bytes(bytes(image.header.binaryblock) + bytes(4) + volume().tobytes("F"))
    with_offset = with_header_fields((tmp_path / "a.nii").read_bytes(), vox_offset=352, magic=b"n+1")
    (tmp_path / "a.nii").write_bytes(with_offset)
    assert_is_nibabels(tmp_path / "a.nii")


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
    members = [gzip.compress(content[a:b]) for a, b in itertools.pairwise(cuts)]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(members))
    assert_is_nibabels(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("window", [1, 7, 100])
def test_a_member_longer_than_the_window_reads_whole(tmp_path, monkeypatch, window):
    monkeypatch.setattr(nifti_content, "_MEMBER_WINDOW", window)
    content = nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()
    members = [content[:360], b"", content[360:2000], content[2000:]]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(map(gzip.compress, members)))
    assert_is_nibabels(tmp_path / "a.nii.gz")
    (tmp_path / "a.nii.gz").write_bytes(b"".join(map(gzip.compress, members))[:-1])
    refused(tmp_path / "a.nii.gz", "truncated gzip")


def test_inflating_many_members_takes_time_in_proportion_to_their_size(tmp_path, monkeypatch):
    handed = []
    inflate = nifti_content._Inflated._decompress

    def recorded(self, decoder, stored, n):
        handed.append(len(stored))
        return inflate(self, decoder, stored, n)

    monkeypatch.setattr(nifti_content._Inflated, "_decompress", recorded)
    monkeypatch.setattr(nifti_content, "_MEMBER_WINDOW", 64)
    content = nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()
    members = [gzip.compress(content[k : k + 8]) for k in range(0, len(content), 8)]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(members))
    assert_is_nibabels(tmp_path / "a.nii.gz")
    assert sum(handed) < 5 * 64 * len(members)


def test_bytes_after_the_voxels_are_left_alone(tmp_path):
    content = nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content + b"\0" * 100) + b"\0" * 7)
    assert np.array_equal(read_nifti(tmp_path / "a.nii.gz").data, volume())
    (tmp_path / "a.nii").write_bytes(content + b"\0" * 7)
    assert np.array_equal(read_nifti(tmp_path / "a.nii").data, volume())


def test_bytes_after_the_voxels_are_not_even_read(tmp_path):
    path = save(tmp_path / "a.nii", volume())
    os.truncate(path, 2**31)
    tracemalloc.start()
    read_nifti(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


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
    (tmp_path / "c.mgz").touch()
    refused(tmp_path / "c.mgz", "expected .nii")
    refused(tmp_path / "a.nii" / "b.nii", "no such file")


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    refused(tmp_path / "a.nii", "neither a file nor a folder")


@pytest.mark.parametrize("name", ["a\0.nii", "a" * 5000 + ".nii"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(CaseError, match="cannot be read"):
        read_nifti(name)


def test_a_name_that_says_another_compression_is_refused(tmp_path):
    content = nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()
    (tmp_path / "a.nii.gz").write_bytes(content)
    refused(tmp_path / "a.nii.gz", "not gzip, .* rename it to .nii")
    (tmp_path / "a.nii").write_bytes(gzip.compress(content))
    refused(tmp_path / "a.nii", "gzip inside, .* rename")


@pytest.mark.parametrize("content", [b"", b"plain text, long enough to be a header" * 20])
def test_what_is_no_gzip_or_no_nifti_is_refused(tmp_path, content):
    (tmp_path / "a.nii.gz").write_bytes(content)
    refused(tmp_path / "a.nii.gz", "empty|not gzip")
    (tmp_path / "a.nii").write_bytes(content)
    refused(tmp_path / "a.nii", "not a NIfTI" if content else "the file is empty")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content))
    refused(tmp_path / "b.nii.gz", "not a NIfTI" if content else "the file is empty")


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


@pytest.mark.parametrize("byte", [-6, -1], ids=["checksum", "length"])
def test_a_gzip_with_a_wrong_checksum_or_length_is_refused(tmp_path, byte):
    path = save(tmp_path / "a.nii.gz", volume())
    content = bytearray(path.read_bytes())
    content[byte] ^= 0xFF
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
        ([4, 4, 4, 4, 3, 1, 1, 1], r"expected a volume .* or a case \(X, Y, Z, 4\)"),
        ([4, 4, 4, 4, 30000, 1, 1, 1], r"expected a volume .* or a case \(X, Y, Z, 4\)"),
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


def test_a_series_of_many_volumes_is_refused_before_it_is_inflated(tmp_path):
    start = with_header_fields(
        nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes()[:352], dim=[4, 1024, 1024, 512, 64, 1, 1, 1]
    )
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(start) + b"".join(packer.compress(bytes(2**20)) for _ in range(64)) + packer.flush()
    (tmp_path / "a.nii.gz").write_bytes(packed)
    tracemalloc.start()
    refused(tmp_path / "a.nii.gz", "or a case")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21


def test_data_at_an_odd_byte_are_read(tmp_path):
    content = with_header_fields(nibabel.Nifti1Image(volume(), OBLIQUE).to_bytes(), vox_offset=355)
    content = content[:352] + b"odd" + content[352:]
    for name, stored in (("a.nii", content), ("a.nii.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(stored)
        assert np.array_equal(read_nifti(tmp_path / name).data, volume())


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
