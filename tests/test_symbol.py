from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mxnet_files import REFERENCE, SymbolWriter, small_network

from brats_trt import CaseError, EngineError
from brats_trt.export.symbol import Edge, read_symbol


def read(document):
    """The symbol of a file with this document, or with this text or these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x-symbol.json"
        content = document if isinstance(document, str | bytes) else json.dumps(document)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_symbol(path)


def small():
    symbol, head, _ = small_network()
    return symbol.document(head)


def test_the_reference_symbol_is_read():
    symbol = read_symbol(REFERENCE / "random-f1-symbol.json")
    assert len(symbol.nodes) == 467
    assert symbol.heads == (Edge(466, 0),)
    assert symbol.nodes[3].attributes["kernel"] == "(3, 3, 3)"
    assert symbol.nodes[3].inputs == (Edge(0, 0), Edge(1, 0), Edge(2, 0))


@pytest.mark.parametrize("field", ["attr", "param"])
def test_older_files_mean_the_same(field):
    old, head, _ = small_network(SymbolWriter(field, entries=2))
    document = old.document(head)
    for node in document["nodes"]:
        node["backward_source_id"] = -1
    assert read(document).nodes == read(small()).nodes
    assert read(document).heads == read(small()).heads


def edited(**changes):
    document = small()
    document["nodes"][3] |= changes
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "not JSON"),
        (b"\x12\x01" + bytes(30), "not JSON.*symbol first and the weights second"),
        ("[" * 100_000, "not JSON"),
        ('{"nodes": ' + "9" * 5000, "not JSON"),
        ([], "no list of nodes"),
        ({"nodes": []}, "no list of nodes"),
        ({"nodes": [3]}, "node 0 is not an object"),
        ({**small(), "heads": []}, "no heads"),
        ({**small(), "heads": [[99, 0, 0]]}, "the list of heads names node 99"),
        (edited(inputs=[[3, 0, 0]]), "node 3 .* names node 3, expected one of the 3 before it"),
        (edited(inputs=[[5, 0, 0]]), "names node 5"),
        (edited(inputs=[[-1, 0, 0]]), "something else than"),
        (edited(inputs=[[0]]), "something else than"),
        (edited(inputs=[[0.0, 0]]), "something else than"),
        (edited(inputs=[[True, 0]]), "something else than"),
        (edited(inputs=None), "the list of inputs of node 3 .* is missing"),
        (edited(op="null"), "a variable with inputs"),
        (edited(op=None), "the op of node 3 is not a text"),
        (edited(op="max of stack"), "the op of node 3 is 'max of stack', expected an operator's name"),
        (edited(name=""), "the name of node 3 is not a text"),
        (edited(name="x" * 300), "the name of node 3 is not a text"),
        (edited(name="a\ud800"), "cannot be printed"),
        (edited(attrs=[]), "'attrs' of node 3 .* is not an object"),
        (edited(attrs={"kernel": 3}), "'kernel' of node 3 .* is not text"),
        (edited(attr={"num_filter": "1"}), "'num_filter' of node 3 .* is there twice"),
        (edited(subgraphs=[{}]), "has subgraphs"),
    ],
)
def test_what_is_no_symbol_is_refused_with_what_was_found(document, message):
    with pytest.raises(EngineError, match=message):
        read(document)


def test_a_file_too_large_to_be_a_symbol_is_refused(tmp_path):
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(17 * 1024**2)
    with pytest.raises(EngineError, match="larger than"):
        read_symbol(path)


def test_a_missing_file_is_the_callers_fault(tmp_path):
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(CaseError, match=r"no such file; name the -symbol\.json"):
            read_symbol(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    index=st.integers(0, 12), key=st.sampled_from(["op", "name", "attrs", "param", "inputs", "subgraphs"]), value=JSON
)
def test_any_value_in_a_node_gives_a_symbol_or_one_clear_refusal(index, key, value):
    document = small()
    document["nodes"][index][key] = value
    try:
        message, symbol = "", read(document)
    except EngineError as fault:
        message, symbol = str(fault), None
    assert "\n" not in message
    assert symbol is None or len(symbol.nodes) == len(document["nodes"])
