from __future__ import annotations

import hashlib
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from mxnet_files import DTYPES, REFERENCE, array_bytes, params_bytes, write_params

from brats_trt import CaseError, EngineError
from brats_trt.export.checkpoint import read_checkpoint

VERSIONS = ("legacy", "V1", "V2", "V3")
NUMPY_DTYPES = [dtype for dtype in DTYPES if dtype != "bfloat16"]
WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4) / 8
SMALL = params_bytes([array_bytes(WEIGHT), array_bytes(WEIGHT[0], "V1")], ["arg:weight", "aux:mean"])


def read(content):
    """The checkpoint of a file with this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.params"
        path.write_bytes(content)
        checkpoint = read_checkpoint(path)
        return {
            name: checkpoint.read(name) if array.shape is not None else None
            for name, array in checkpoint.arrays.items()
        }


def read_or_refuse(content):
    """As `read`, None where the reader refuses in one line. Anything else fails the test."""
    try:
        return read(content)
    except EngineError as fault:
        message = str(fault)
    assert "\n" not in message
    return None


@settings(max_examples=150, deadline=None)
@given(data=st.data(), version=st.sampled_from(VERSIONS), dtype=st.sampled_from(NUMPY_DTYPES))
def test_what_mxnet_wrote_is_read_back(data, version, dtype):
    shape = data.draw(arrays_of.array_shapes(min_dims=1, max_dims=5, max_side=4))
    whole = st.integers(0, 1) if dtype == "?" else st.integers(0, 100)
    array = data.draw(arrays_of.arrays(np.float64, shape, elements=whole)).astype(dtype)
    found = read(params_bytes([array_bytes(WEIGHT), array_bytes(array, version)], ["arg:first", "aux:second"]))
    assert list(found) == ["first", "second"]
    assert np.array_equal(found["first"], WEIGHT)
    assert found["second"].dtype == np.float32
    assert found["second"].shape == shape
    assert np.array_equal(found["second"], array.astype(np.float32))


def test_bfloat16_is_the_upper_half_of_float32():
    bits = np.array([0x3F80, 0xC000, 0x3E20], np.uint16)
    found = read(params_bytes([array_bytes(bits, dtype="bfloat16")], ["arg:x"]))
    assert found["x"].tolist() == [1.0, -2.0, 0.15625]


def test_no_axes_are_a_scalar_to_numpy_and_nothing_before_it():
    scalar = array_bytes(np.array(2.5, np.float32), "V3")
    nothing = struct.pack("<Iii", 0xF993FAC9, 0, 0)
    unknown = struct.pack("<Iii", 0xF993FACA, 0, -1) + struct.pack("<Iiiqq", 0xF993FACA, 0, 2, 3, -1)
    legacy = struct.pack("<I", 0) + struct.pack("<Ii", 0xF993FAC8, 0)
    content = params_bytes([scalar, nothing, unknown, legacy, array_bytes(WEIGHT)], [])
    names = [f"arg:{name}" for name in "abcdefg"]
    head = struct.pack("<QQQ", 0x112, 0, 7) + content[24:-8]
    found = read(head + params_bytes([], names)[24:])
    assert found["a"].shape == ()
    assert found["a"] == 2.5
    assert [found[name] for name in "bcdef"] == [None] * 5
    assert np.array_equal(found["g"], WEIGHT)


def test_the_reference_checkpoint_is_whole():
    checkpoint = read_checkpoint(REFERENCE / "random-f1-0000.params")
    assert len(checkpoint.arrays) == 225
    assert checkpoint.arrays["seg_onlynet128conv1sep_conv_weight"].shape == (4, 1, 3, 3, 3)
    assert sum(array.bytes for array in checkpoint.arrays.values()) == 4 * 600_720
    assert checkpoint.sha256 == hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()


def sparse(storage, indices):
    """A sparse (4, 3) float32 array with two stored values."""
    head = struct.pack("<Iiiq", 0xF993FAC9, storage, 1, 2) + struct.pack("<iqq", 2, 4, 3)
    kinds = struct.pack("<iii", 1, 0, 0) + b"".join(struct.pack("<iiq", 6, 1, n) for n in indices)
    return head + kinds + bytes(8) + bytes(8 * sum(indices))


@pytest.mark.parametrize(("storage", "indices"), [(1, [2]), (2, [5, 2])], ids=["row sparse", "CSR"])
def test_a_sparse_array_is_refused_by_name(storage, indices):
    content = params_bytes([array_bytes(WEIGHT), sparse(storage, indices)], ["arg:dense", "arg:embedding"])
    with pytest.raises(EngineError, match=r"'embedding' is sparse.*tostype"):
        read(content)


@pytest.mark.parametrize("length", range(len(SMALL)))
def test_a_file_cut_anywhere_is_refused(length):
    assert read_or_refuse(SMALL[:length]) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n  "nodes": []}', "not an MXNet .params file.*weights second"),
        (SMALL + b"x", "1 bytes follow the last name"),
        (params_bytes([array_bytes(WEIGHT)] * 2, ["arg:a", "aux:a"]), "'a' is there twice"),
        (params_bytes([array_bytes(WEIGHT)], ["weight"]), "named 'weight'; expected arg:NAME"),
        (params_bytes([array_bytes(WEIGHT)], ["arg:"]), "expected arg:NAME"),
        (params_bytes([array_bytes(WEIGHT)], []), "1 arrays and 0 names"),
        (struct.pack("<QQQ", 0x112, 0, 2**63), "announces 9223372036854775808 arrays"),
        (
            params_bytes([struct.pack("<Iiiqq", 0xF993FAC9, 0, 2, 2**40, 2**22) + bytes(12)], ["arg:a"]),
            "takes .* bytes",
        ),
        (params_bytes([struct.pack("<Iiiq", 0xF993FAC9, 0, 1, -3) + bytes(12)], ["arg:a"]), r"shape \(-3,\)"),
        (params_bytes([struct.pack("<Iii", 0xF993FAC9, 0, 33)], ["arg:a"]), "33 axes"),
        (params_bytes([struct.pack("<Iiiq", 0xF993FAC9, 3, 1, 1)], ["arg:a"]), "storage type 3"),
        (params_bytes([struct.pack("<Iiiqiii", 0xF993FAC9, 0, 1, 1, 1, 0, 13)], ["arg:a"]), "type number 13"),
        (params_bytes([struct.pack("<I", 0xDEADBEEF)], ["arg:a"]), "no version that MXNet 1.x wrote"),
    ],
)
def test_a_damaged_file_is_refused_with_what_was_found(content, message):
    with pytest.raises(EngineError, match=message):
        read(content)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite_are_refused_by_name(value):
    with pytest.raises(EngineError, match="'bad' holds values that are not finite"):
        read(params_bytes([array_bytes(np.array([1.0, value]))], ["arg:bad"]))


def test_an_array_without_values_cannot_be_read(tmp_path):
    path = tmp_path / "x.params"
    path.write_bytes(params_bytes([struct.pack("<Iii", 0xF993FAC9, 0, 0)], ["arg:empty"]))
    with pytest.raises(EngineError, match="'empty' was saved without values"):
        read_checkpoint(path).read("empty")


def test_a_file_that_shrinks_or_goes_is_reported(tmp_path):
    path = write_params(tmp_path / "x.params", {"weight": WEIGHT})
    checkpoint = read_checkpoint(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(EngineError, match="became shorter"):
        checkpoint.read("weight")
    path.unlink()
    with pytest.raises(CaseError, match="cannot be read again"):
        checkpoint.read("weight")


def test_a_missing_file_is_the_callers_fault(tmp_path):
    for path in (tmp_path, tmp_path / "none.params"):
        with pytest.raises(CaseError, match=r"no such file; name the \.params file"):
            read_checkpoint(path)


@settings(max_examples=400, deadline=None)
@given(bit=st.integers(0, 8 * len(SMALL) - 1), length=st.integers(0, 3 * len(SMALL)))
def test_a_flipped_bit_gives_arrays_or_one_clear_refusal(bit, length):
    damaged = bytearray(SMALL)
    damaged[bit // 8] ^= 1 << bit % 8
    found = read_or_refuse(bytes(damaged[:length]))
    assert found is None or sum(array.nbytes for array in found.values() if array is not None) <= 2 * len(SMALL)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200), start=st.sampled_from([0, 8, 16, 24, 28, 32, 36, 52, 56, 60]))
def test_random_bytes_after_a_right_start_give_one_clear_refusal(content, start):
    read_or_refuse(SMALL[:start] + content)
