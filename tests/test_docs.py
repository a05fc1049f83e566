"""The documents hold no placeholders, and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "engines").glob("*.md"),
        *(ROOT / "csrc").rglob("*.md"),
    ]
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_holds_no_placeholder(path):
    assert not re.search(r"@[A-Z]+@|TODO|FIXME|XXX", path.read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_that_a_document_names_are_there(path):
    text = path.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:docs|benchmarks|tests|engines|brats_trt|csrc|scripts)/[\w./-]+)", text)
    missing = [link for link in links if not (path.parent / link).exists()]
    missing += [name for name in named if not any(ROOT.glob(f"{name.rstrip('/')}*"))]
    assert not missing


def test_the_readme_has_the_two_commands_and_the_notice():
    text = (ROOT / "README.md").read_text()
    assert "\nmake demo\n" in text
    assert "\nmake test\n" in text
    assert "Research use only, not a medical device." in text
