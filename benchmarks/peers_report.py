"""The tables of `peers.py` as Markdown, and their place in the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from rounds import Times, ratios, spread

MARKERS = ("<!-- peers -->", "<!-- /peers -->")
ALONE = "alone, "
# brats_trt's, as the tables and as `Segmenter` name them.
RUNTIMES = {"OpenVINO": "openvino", "native": "native"}


def jobs_table(times: Times, jobs: Sequence[str], differing: Mapping[str, int]) -> list[str]:
    """Whole jobs: the first is the baseline; voxels of another label than the baseline's."""
    lines = [
        "| four arrays in, label map out | median ms | spread | times faster | spread | voxels that differ |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in jobs:
        faster = ratios(times, jobs[0], name)
        title = f"**{name}**" if name.startswith("brats_trt") else name
        lines.append(
            f"| {title} | {median(times[name]):.0f} | {spread(times[name]):.1%} | {median(faster):.2f} | "
            f"{spread(faster):.1%} | {differing[name]:,} |"
        )
    return lines


def alone_table(times: Times, precisions: Sequence[str]) -> list[str]:
    """Both graphs in OpenVINO, and how much more than the exported graph a whole job takes."""

    def row(title: str, cells: Sequence[str]) -> str:
        return f"| {title} | {' | '.join(cells)} |"

    def milliseconds(graph: str) -> list[str]:
        return [f"{median(times[f'{ALONE}{graph}, {p}']):.0f}" for p in precisions]

    def over(above: str, below: str) -> list[str]:
        pairs = [ratios(times, above.format(p, p.upper()), below.format(p, p.upper())) for p in precisions]
        return [f"{median(pair):.2f} (spread {spread(pair):.1%})" for pair in pairs]

    exported = f"{ALONE}exported, {{0}}"
    return [
        row("the network alone, OpenVINO", [p.upper() for p in precisions]),
        row("---", ["---"] * len(precisions)),
        row("literal export, median ms", milliseconds("literal")),
        row("exported graph, median ms", milliseconds("exported")),
        row("literal export over exported graph", over(f"{ALONE}literal, {{0}}", exported)),
        *(
            row(f"brats_trt's whole job, {title}, over exported graph", over(f"brats_trt, {title} {{1}}", exported))
            for title in RUNTIMES
        ),
    ]


def write_readme(path: Path, text: str) -> None:
    """Put the text between the markers.

    Raises
    ------
    ValueError
        If the file does not have both markers once, in their order.
    """
    content = path.read_text(encoding="utf-8")
    first, last = MARKERS
    if content.count(first) != 1 or content.count(last) != 1 or content.index(first) > content.index(last):
        raise ValueError(f"{path} does not have {first} and {last} once each; put them where the table is to stand")
    before, _, rest = content.partition(first)
    after = rest.partition(last)[2]
    path.write_text(f"{before}{first}\n{text}\n{last}{after}", encoding="utf-8")
