from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brats_trt import CaseError, EngineError
from brats_trt.plans.recipe import Recipe, build_command

RECIPES = st.builds(
    Recipe,
    precision=st.sampled_from(["fp16", "fp32"]),
    norm=st.sampled_from(["native_cast", "decomposed"]),
    grouped=st.sampled_from(["as_is", "dense"]),
    deconvolution=st.sampled_from(["as_is", "pixel_shuffle"]),
    scale=st.sampled_from(["auto", "as_is", "quarter", "sixteenth"]),
    optimisation_level=st.integers(0, 5),
    version_compatible=st.booleans(),
    hardware_compatible=st.sampled_from([None, "ampere_plus", "same_compute_capability"]),
    capabilities=st.lists(st.sampled_from(["8.6", "8.9", "12.0"]), unique=True).map(tuple),
    stripped=st.booleans(),
    refittable=st.booleans(),
)


@given(RECIPES)
def test_a_recipe_survives_json(recipe):
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_a_recipe_that_is_not_readable_is_an_engine_error():
    document = Recipe().to_json()
    for broken in ({}, {**document, "precision": "fp8"}, {**document, "variants": None}):
        with pytest.raises(EngineError, match="the plan's recipe is not readable"):
            Recipe.from_json(broken)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, r"precision 'int8' is not known; expected one of \['fp16', 'fp32'\]"),
        ({"hardware_compatible": "all"}, "hardware compatibility 'all' is not known"),
        ({"optimisation_level": 6}, "optimisation level 6; expected 0 to 5"),
        ({"optimisation_level": -1}, "optimisation level -1"),
    ],
)
def test_an_option_out_of_range_is_refused(options, message):
    with pytest.raises(CaseError, match=message):
        Recipe(**options)


def test_the_defaults_need_no_options_but_the_precision_and_the_scale():
    assert Recipe().options() == ["--precision", "fp16", "--scale", "quarter"]
    assert Recipe(precision="fp32").options() == ["--precision", "fp32", "--scale", "as_is"]


def test_fp16_is_scaled_unless_told_otherwise_and_fp32_is_not():
    assert (Recipe().scale, Recipe(precision="fp32").scale) == ("quarter", "as_is")
    assert Recipe(scale="as_is").scale == "as_is"
    assert Recipe(precision="fp32", scale="quarter").scale == "quarter"
    assert Recipe() == Recipe(scale="quarter") == Recipe(scale="auto")


@pytest.mark.parametrize(
    ("options", "rewritten"),
    [
        ({}, True),
        ({"scale": "as_is"}, False),
        ({"precision": "fp32"}, False),
        ({"precision": "fp32", "scale": "quarter"}, True),
        ({"precision": "fp32", "grouped": "dense"}, True),
        ({"precision": "fp32", "optimisation_level": 5}, False),
    ],
)
def test_a_graph_is_rewritten_where_a_rewrite_changes_it(options, rewritten):
    assert Recipe(**options).rewritten == rewritten


def test_a_command_line_quotes_names_for_the_shell():
    command = build_command("my model.onnx", "out/it's.plan", "tensorrt", Recipe())
    assert shlex.split(command)[2:5] == ["my model.onnx", "-o", "out/it's.plan"]
