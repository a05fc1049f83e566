"""The whole backend on cases of the table, with a network whose answer is given: box, crop and labels, all at once.

The stages' own tests hand each stage what the ones before it should have left; here the kernels hand it on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import oracle
import pytest
from tolerances import ARGMAX_TIE_ON_DEVICE, GATHER_ON_DEVICE, HALF_GATHER_ON_DEVICE

from brats_trt import Spec
from brats_trt.backends import StageOptions
from brats_trt.backends.cuda import CudaBackend
from brats_trt.case import Volume
from brats_trt.spec import MODALITIES
from kernels.identities import dyadic_softmax
from kernels.stages import Stages
from kernels.table import HEADS, ORDERS, VIEWS, Case
from kernels.tumours import labelled

NAMES = {
    "uint8", "float16", "float64", "strided on the host", "big-endian on the host", "unaligned on the host",
    "yzx in place", "reversed in place", "mixed in place", "touches all", "three planes an axis",
    "slope and intercept", "float32 with NaN and infinities", "(6, 5, 1024) stored xyz", "1024 along y in place",
    "network of (7, 16, 33)", "half precision stored yxz",
}  # fmt: skip
CHOSEN = [case for case in HEADS if case.name in NAMES]


@dataclass
class GivenEngine:
    """Remembers the crops that it gets, and gives a softmax that was decided before."""

    device: object
    softmax: np.ndarray
    half: bool = False
    spec: Spec = field(default_factory=Spec)
    precision: str = "fp32"
    sha256: str = "0" * 64
    crops: list = field(default_factory=list)

    @property
    def size(self):
        return self.softmax.shape[2:]

    def enqueue(self, source, target, stream):
        dtype = np.float16 if self.half else np.float32
        self.crops.append(self.device.read_at(source, dtype, (4, *self.size)).astype(np.float32))
        self.device.write_at(target, self.softmax[len(self.crops) - 1].astype(dtype))


def run(device, case, softmax, *, min_region=0.0):
    """A head whose four modalities differ: each has another seed."""
    heads = [replace(case, name=f"{case.name}, {modality}") for modality in MODALITIES]
    engine = GivenEngine(device, softmax, half=case.half)
    options = StageOptions(tta=len(softmax) == 2, min_region=min_region, label_values=case.label_values)
    backend = CudaBackend(device, engine, options, largest_shape=case.shape)
    placing = Stages(device, case.shape)
    volumes = []
    for modality, head in zip(MODALITIES, heads, strict=True):
        data = placing.place(head.volume()) if case.place == "device" else head.volume()
        volumes.append((modality, Volume(data, case.slope, case.intercept, modality)))
    return heads, engine.crops, backend.run(volumes)


def test_the_chosen_cases_are_in_the_table():
    assert len(CHOSEN) == len(NAMES)


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_the_backend_gives_scipys_box_crop_and_labels(device, case):
    softmax = case.softmax()
    heads, crops, outcome = run(device, case, softmax)
    values = [head.values() for head in heads]
    box = oracle.authors_box(values)
    assert (outcome.box.lower, outcome.box.upper) == box
    tolerance = HALF_GATHER_ON_DEVICE if case.half else GATHER_ON_DEVICE
    for channel, of_modality in enumerate(values):
        expected = oracle.prepare_channel(of_modality, box, case.size, resample=oracle.resample)
        np.testing.assert_allclose(crops[0][channel], expected, rtol=0, atol=tolerance)
    assert len(crops) == case.batch
    assert np.array_equal(crops[-1], crops[0] if case.batch == 1 else crops[0][:, :, ::-1])
    restored = oracle.restore_probabilities(softmax, box, resample=oracle.resample)
    chosen = np.searchsorted(np.sort(case.label_values), outcome.labels[outcome.box.slices])
    of_chosen = np.take_along_axis(restored, np.argsort(case.label_values)[chosen][None], axis=0)[0]
    assert (restored.max(axis=0) - of_chosen).max() <= ARGMAX_TIE_ON_DEVICE
    assert outcome.counts == tuple(int((outcome.labels == value).sum()) for value in case.label_values)
    assert outcome.counts[0] >= outcome.labels.size - restored[0].size


@pytest.mark.parametrize("place", ["host", "device"])
@pytest.mark.parametrize("memory", ["xyz", "zyx"])
@pytest.mark.parametrize("tumour", ["none", "everything", "grid corners", "joined by a corner", "snake", "scattered"])
def test_any_tumour_comes_out_as_the_network_saw_it_less_its_small_regions(device, tumour, memory, place):
    """A crop of the box's own size is restored sample for sample."""
    case = Case(f"whole {tumour}", shape=(15, 14, 13), touches="all", memory=memory, place=place)
    crop = labelled(tumour, (14, 13, 12))
    softmax = np.full((1, 4, *crop.shape), 0.125, np.float32)
    for place_of_class, value in enumerate(case.label_values):
        softmax[0, place_of_class][crop == value] = 0.625
    _, _, outcome = run(device, case, softmax, min_region=0.1)
    seen = np.zeros(case.shape, np.uint8)
    seen[:14, :13, :12] = crop
    expected = oracle.drop_small_regions(seen, 0.1)
    assert np.array_equal(outcome.labels, expected)
    assert outcome.counts == tuple(int((expected == value).sum()) for value in case.label_values)


def test_every_layout_of_one_head_gives_one_label_map(device):
    """To the voxel: probabilities of few bits, resampled by powers of two, leave nothing to round."""
    softmax = dyadic_softmax((6, 5, 4), batch=2)
    case = Case("layouts", shape=(18, 18, 14), touches="all", size=(6, 5, 4), batch=2)
    expected = None
    for place, memory in [("host", "xyz"), *[("device", memory) for memory in (*ORDERS, *VIEWS)]]:
        _, _, outcome = run(device, replace(case, memory=memory, place=place), softmax, min_region=0.1)
        expected = outcome.labels if expected is None else expected
        assert np.array_equal(outcome.labels, expected), memory
