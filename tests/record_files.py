"""Cases, results and doctored files for the tests of run records."""

from __future__ import annotations

import json
from pathlib import Path

import heads
import nibabel
import numpy as np
from cases import save

from brats_trt import Segmentation
from brats_trt.spec import MODALITIES


def head_folder(folder: Path, *, ending=".nii.gz", dirty=False) -> Path:
    """A case on disk; `dirty` has voxels that are warned of."""
    folder.mkdir(parents=True)
    for name, volume in heads.volumes().items():
        values = volume.astype(np.float32) if dirty else volume
        if dirty:
            values[0, 0, 0] = np.nan
        save(folder / f"P1_{name}{ending}", values)
    return folder


def stacked(order=MODALITIES):
    """The four volumes along a fourth axis, Fortran order."""
    return np.asfortranarray(np.stack([heads.volumes()[name] for name in order], axis=3))


def image_of(result: Segmentation, *texts: bytes, code=6, kind=nibabel.Nifti1Image, labels=None):
    """The label map with these texts as extensions instead of its record."""
    image = kind(result.labels if labels is None else labels, result.affine)
    for text in texts:
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(code, text))
    return image


def page_of(*scripts: str, start="<!doctype html><title>P1</title>") -> str:
    """A page with these scripts."""
    return "\n".join((start, *scripts, "<p>Research use only, not a medical device."))


def script_of(text: str) -> str:
    """The script that a page carries its record in."""
    return f'<script type="application/json" id="run-record">{text}</script>'


def changed(document, path, value):
    """A copy of a JSON document with another value at a path of names and indices."""
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return copy


def without(document, path):
    """A copy of a JSON document without the entry at a path."""
    copy = json.loads(json.dumps(document))
    place = copy
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return copy


def paths_of(value, path=()):
    """The path of every entry of a JSON document."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, entry in steps:
        yield (*path, step)
        yield from paths_of(entry, (*path, step))
