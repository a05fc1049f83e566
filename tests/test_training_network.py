"""The cascade in PyTorch against MXNet's files and the package's own converter."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mxnet_files import REFERENCE
from references import answers, checkpoint, run_onnxruntime

torch = pytest.importorskip("torch", reason="the training needs PyTorch: pip install '.[train]'")

from checkpoints import Trained  # noqa: E402
from export import export  # noqa: E402
from losses import LossWeights, cascade_loss  # noqa: E402
from network import Cascade, _block_diagonal  # noqa: E402
from params_file import params_bytes, read_weights  # noqa: E402
from symbol_document import array_shapes, number_of_parameters, symbol_document  # noqa: E402

from brats_trt import EngineError  # noqa: E402
from brats_trt.export.checkpoint import read_checkpoint  # noqa: E402

BASES = {"random-f1": 1, "phantom-f2": 2}
# Softmax of two runtimes on the same weights, absolute: float32 sums in another order, as norms of few voxels and
# random weights make the most of them.
RUNTIMES = 2e-4
# Of the same runtime, where a case is computed in another batch or layout.
SAME_RUNTIME = 1e-5
# Against MXNet's softmax, mean absolute: MXNet's own rounding of the norms' sums (see tests/test_network.py).
MXNET = 2e-4


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    made = Cascade(1).eval()
    made.initialise(3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.rand(parameter.shape, generator=generator)
    return made


def crop(size, batch=1, seed=0):
    return torch.rand(batch, 4, size, size, size, generator=torch.Generator().manual_seed(seed))


def softmax(model, *inputs):
    with torch.no_grad():
        return torch.softmax(model(*inputs).full, 1).numpy()


@pytest.mark.parametrize("name", BASES)
def test_the_symbol_is_the_one_that_mxnet_wrote(name):
    assert symbol_document(BASES[name]) == json.loads((REFERENCE / f"{name}-symbol.json").read_text())


def test_the_released_size_has_the_released_parameters():
    assert number_of_parameters(8) == 38_192_316


@pytest.mark.parametrize("name", BASES)
def test_parameters_to_torch_and_back_are_the_file_itself(name):
    path = REFERENCE / f"{name}-0000.params"
    weights, base = read_weights(path)
    model = Cascade(base)
    model.load_state_dict(weights)
    arrays = {array: model.state_dict()[array].numpy() for array in read_checkpoint(path).arrays}
    assert params_bytes(arrays) == path.read_bytes()


def test_the_softmax_is_mxnets():
    weights, base = read_weights(checkpoint("random-f1")[1])
    model = Cascade(base).eval()
    model.load_state_dict(weights)
    data, expected, classes = answers("random-f1")
    found = softmax(model, torch.from_numpy(data))
    assert abs(found[:, :, ::4, ::4, ::4] - expected).mean() < MXNET
    assert (found.argmax(1) != classes).mean() < 2e-3


def test_the_export_is_the_network(model, tmp_path):
    files = export(Trained(model.state_dict(), incomplete=False), tmp_path, "x", precision="fp32", size=64)
    data = crop(64)
    assert abs(run_onnxruntime(files.onnx, data.numpy()) - softmax(model, data)).max() < RUNTIMES
    weights, base = read_weights(files.params)
    assert base == 1
    assert all(torch.equal(weights[name], values) for name, values in model.state_dict().items())


def test_an_absent_modality_is_not_seen(model):
    data, presence = crop(64), torch.tensor([[True, False, True, True]])
    other = data.clone()
    other[:, 1] = 7.0
    # The averages of the other networks' inputs hold each modality apart too.
    assert np.array_equal(softmax(model, data, presence), softmax(model, other, presence))
    assert not np.array_equal(softmax(model, data, presence), softmax(model, data))


def test_all_present_is_the_plain_network(model):
    data = crop(64)
    assert np.array_equal(softmax(model, data, torch.ones(1, 4, dtype=torch.bool)), softmax(model, data))


def test_a_modality_alone_is_that_groups_features(model):
    """With one modality the maximum is that modality's own, so that copies of it elsewhere change nothing."""
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    for name in weights:  # the first group's weights in every group
        if array_shapes(1)[name][0] % 4 == 0 and ("conv" in name or "pool" in name or "norm" in name):
            encoder = any(f"rb{level}" in name for level in (1, 2, 3, 4)) or "net128conv1" in name or "pool" in name
            if encoder or ("conv1sep_conv" in name and "rb" not in name):
                first = weights[name][: len(weights[name]) // 4]
                weights[name] = first.repeat(4, *[1] * (first.ndim - 1))
    same = Cascade(1).eval()
    same.load_state_dict(weights)
    data = crop(64)[:, :1].repeat(1, 4, 1, 1, 1)
    alone = softmax(same, data, torch.tensor([[True, False, False, False]]))
    assert abs(alone - softmax(same, data)).max() < SAME_RUNTIME


def test_cases_of_a_batch_do_not_meet(model):
    data = crop(64, batch=2)
    presence = torch.tensor([[True] * 4, [True, True, False, False]])
    together = softmax(model, data, presence)
    apart = np.concatenate([softmax(model, data[k : k + 1], presence[k : k + 1]) for k in range(2)])
    assert abs(together - apart).max() < SAME_RUNTIME


def test_a_widened_convolution_is_the_grouped_one():
    generator = torch.Generator().manual_seed(0)
    data, weight = torch.rand(1, 8, 5, 5, 5, generator=generator), torch.rand(16, 2, 3, 3, 3, generator=generator)
    grouped = torch.nn.functional.conv3d(data, weight, groups=4)
    widened = torch.nn.functional.conv3d(data, _block_diagonal(weight, 4))
    assert abs(grouped - widened).max() < 1e-5


def test_bfloat16_gradients_are_those_of_float32_up_to_its_rounding():
    made = Cascade(2).train()
    made.initialise(0)
    data, classes = crop(64), torch.randint(0, 4, (1, 64, 64, 64), generator=torch.Generator().manual_seed(1))
    found = {}
    for enabled in (False, True, True):
        torch.manual_seed(0)
        made.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = made(data)
        cascade_loss(logits, classes, LossWeights()).backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in made.parameters()])
        assert enabled not in found or torch.equal(found[enabled], gradient)
        found[enabled] = gradient
    assert torch.isfinite(found[True]).all()
    assert torch.nn.functional.cosine_similarity(found[False], found[True], dim=0) > 0.9


def test_inputs_that_do_not_fit_are_refused(model):
    with pytest.raises(ValueError, match="multiples of 32: resample it"):
        model(crop(48))
    with pytest.raises(ValueError, match="has no modality; expected at least one"):
        model(crop(64), torch.zeros(1, 4, dtype=torch.bool))


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "other.params"
    path.write_bytes(params_bytes({"seg_onlynet128conv1sep_conv_bias": np.zeros(4, np.float32)}))
    with pytest.raises(EngineError, match="its arrays are not those of the cascade"):
        read_weights(path)
