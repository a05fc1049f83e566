"""One page a case: pictures that can be moved, measures, times and the run record, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from ..measures import Measures
from ..notice import NOTICE
from ..pictures.palette import label_styles
from ..pictures.scene import TITLES, kept_case, shown_modality, states_orientation, titles_of
from ..segmentation import Segmentation
from ..spec import LABEL_VALUES
from .markup import asset, data_script, fill, json_script, picture, text
from .packing import GREYS, PackedCase, pack_case
from .still import SHOWN, draw_still
from .tables import expected_dice, measures_table, run_tables, summary, warning_list
from .viewer import load_viewer, viewer_licence

PAGE_BYTES = 12_000_000
_RESERVE = 400_000  # for the page's own text, the still picture and a run record
_STILL = 480  # pixels
# The palette's colours in words.
COLOUR_WORDS = {"necrotic": "orange red", "enhancing": "yellow", "oedema": "sky blue"}

_VIEWS = {
    "all": "All",
    "planes": "Planes",
    "axial": "Axial",
    "coronal": "Coronal",
    "sagittal": "Sagittal",
    "volume": "3-D",
}
_CONVENTION = "Radiological convention: the patient's right is on the left."
_UNORIENTED = (
    "The input does not say how it lies in the patient: left and right, front and back, and the scanner's millimetres "
    "are those of the stored array, not the patient's."
)


def draw_page(result: Segmentation, measures: Measures, record: Mapping[str, Any] | None) -> str:
    """The page's HTML.

    Raises
    ------
    ValueError
        If the result does not have its case, or the record is no JSON.
    CaseError
        If a volume lies on a GPU.
    EngineError
        If the package was installed without its viewer.
    """
    viewer, case = load_viewer(), kept_case(result)
    oriented = states_orientation(result)
    packed = pack_case(result, (PAGE_BYTES - _RESERVE) * 3 // 4 - len(viewer))
    warnings = (*(() if oriented else (_UNORIENTED,)), *result.portable_warnings)
    found = measures.structures["whole_tumour"] is not None
    return fill(
        "case.html",
        name=text(result.name),
        notice=text(NOTICE),
        version=text(version("brats-trt")),
        summary=text(summary(measures, oriented=oriented)),
        warnings=warning_list(warnings),
        convention=_CONVENTION if oriented else "",
        modalities=_choices("modality", titles_of(case), shown_modality(case, SHOWN)),
        views=_choices("view", _VIEWS, "all"),
        classes=_classes(result),
        centre="Centre on the tumour" if found else "Centre on the head",
        reduced=_reduction(packed),
        still=_still(result, found=found),
        measures=measures_table(measures, oriented=oriented, expected=expected_dice(result)),
        run=run_tables(result),
        record=_record(record),
        licence=text(viewer_licence()),
        data=_data(result, measures, packed, viewer, oriented=oriented),
        style=asset("page.css"),
        script=asset("viewer.js") + asset("case.js"),
    )


def _data(result: Segmentation, measures: Measures, packed: PackedCase, viewer: bytes, *, oriented: bool) -> str:
    """The script elements that hold what the viewer shows."""
    case = kept_case(result)
    focus = result.affine @ [*measures.focus, 1.0]
    values = LABEL_VALUES[result.label_scheme]
    page = {
        "focus": focus[:3].tolist(),
        "oriented": oriented,
        "shown": shown_modality(case, SHOWN),
        "modalities": [{"id": modality, "title": title} for modality, title in titles_of(case).items()],
        "classes": [
            {
                "value": values.index(style.value),
                "name": style.name,
                "colour": style.colour,
            }
            for style in label_styles(result.label_scheme)
        ],
    }
    volumes = [data_script(f"volume-{modality}", content) for modality, content in packed.volumes.items()]
    return "\n".join(
        [
            json_script("page", page),
            json_script("measures-data", measures.document()),
            data_script("niivue", viewer),
            data_script("volume-classes", packed.classes),
            *volumes,
        ]
    )


def _choices(name: str, titles: Mapping[Any, str], chosen: str) -> str:
    """Radio buttons."""

    def choice(value: str) -> str:
        checked = " checked" if value == chosen else ""
        button = f'<input type="radio" name="{name}" value="{value}" autocomplete="off"{checked}>'
        return f"<label>{button}{titles[value]}</label>"

    return "\n".join(map(choice, titles))


def _classes(result: Segmentation) -> str:
    """A box to tick for each class, with its colour in words."""
    values = LABEL_VALUES[result.label_scheme]
    return "\n".join(
        f'<label><input type="checkbox" name="class" value="{values.index(style.value)}" autocomplete="off" checked>'
        f'<span class="swatch" style="background: rgb{style.colour}"></span>{style.name}: '
        f"{COLOUR_WORDS[style.structure]}</label>"
        for style in label_styles(result.label_scheme)
    )


def _record(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return ""
    return (
        "<details><summary>Run record (JSON)</summary>"
        '<pre id="record-text" tabindex="0" aria-label="Run record"></pre></details>'
        + json_script("run-record", record)
    )


def _still(result: Segmentation, *, found: bool) -> str:
    modality = TITLES[shown_modality(kept_case(result), SHOWN)]
    description = f"Axial plane through the tumour on {modality}: " if found else f"Middle axial plane on {modality}"
    words = ", ".join(
        f"{style.name.lower()} {COLOUR_WORDS[style.structure]}" for style in label_styles(result.label_scheme)
    )
    description += words if found else ""
    return (
        f'{picture(draw_still(result, _STILL), description)}<figcaption class="quiet">{text(description)}</figcaption>'
    )


def _reduction(packed: PackedCase) -> str:
    """What the pictures lack, so that the page stays small."""
    lacks = []
    if packed.step > 1:
        lacks.append(f"show one voxel in {packed.step} along each axis")
    if packed.greys < GREYS[0]:
        lacks.append(f"have {packed.greys} steps of grey")
    return (
        f" To keep this page small, its pictures {' and '.join(lacks)}; the measures are of all voxels."
        if lacks
        else ""
    )
