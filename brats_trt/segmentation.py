"""The result of a run: labels on the input's grid, volumes, times, and what it takes to save them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .confidence import Calibration, RawScore, entropy, raw_scores
from .geometry import Box, crop_affine, voxel_volume_ml
from .spec import LabelScheme, Modality

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

    from .case import Case
    from .raw.preparation import Account
    from .records import RunRecord
    from .records.making import Provenance


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A segmented case. Axes x, y, z are array axes 0, 1, 2 of the input as stored.

    Attributes
    ----------
    name
        The case's name.
    labels
        (X, Y, Z) uint8 on the input's grid, in the values of `label_scheme`.
    affine
        (4, 4) float64, voxel to millimetre, the input's.
    header
        The reference image's NIfTI header, or None where the input was arrays.
    box
        Where the network's crop lies, in voxels, half-open.
    softmax
        (1 or 2, 4, D, H, W) float32, the network's output for the crop; with mirror averaging the second
        entry is that of the input mirrored along axis y. None where the segmenter was not to keep it.
    class_counts
        Voxels of background, necrotic core, oedema and enhancing tumour.
    timings_ms
        Milliseconds of "load", "prepare", "infer", "restore", "regions" and "total"; of a raw exam "align", "strip" and
        "inspect" too.
    warnings
        What was found in the input and survived.
    model_sha256
        Of the model's file.
    masked
        Modalities that the case lacked, and that were left out of the network.
    case
        The volumes that it was made of, or None where the segmenter was not to keep them.
    provenance
        What the record has beyond the above.
    calibration
        What the model says of its scores, or None where it says nothing.
    raw
        How a raw exam was brought together: `class_counts` and `box` are of its working grid. None of other cases.
    """

    name: str
    labels: NDArray[np.uint8]
    label_scheme: LabelScheme
    affine: NDArray[np.float64]
    header: Nifti1Header | None = field(repr=False)
    box: Box
    softmax: NDArray[np.float32] | None = field(repr=False)
    class_counts: tuple[int, int, int, int]
    timings_ms: Mapping[str, float]
    warnings: tuple[str, ...]
    model_sha256: str
    masked: tuple[Modality, ...] = ()
    case: Case | None = field(default=None, repr=False)
    provenance: Provenance | None = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    raw: Account | None = field(default=None, repr=False)

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """(4, D, H, W) float32 softmax of the crop; with mirror averaging, the mean of the pair.

        Raises
        ------
        ValueError
            If the segmenter was not to keep probabilities.
        """
        softmax = self._kept_softmax()
        plain, mirrored = softmax[0], softmax[-1]
        if len(softmax) == 1:
            return np.asarray(plain)
        return np.asarray((plain + mirrored[:, :, ::-1]) * np.float32(0.5))

    @cached_property
    def entropy(self) -> NDArray[np.float32]:
        """(D, H, W) float32 of the crop: each voxel's entropy of `probabilities`, from 0, certain, to 1, ln 4 nats.

        Raises
        ------
        ValueError
            If the segmenter was not to keep probabilities.
        """
        return entropy(self.probabilities)

    @cached_property
    def raw_confidence(self) -> Mapping[str, RawScore]:
        """Scores of `probabilities` by structure, which mean nothing without a calibration; one is fitted on them.

        Raises
        ------
        ValueError
            If the segmenter was not to keep probabilities.
        """
        return raw_scores(self.probabilities)

    @cached_property
    def confidence(self) -> Mapping[str, float | None] | None:
        """The Dice to be expected of "whole_tumour", "tumour_core" and "enhancing" (docs/confidence.md).

        None where the model has no calibration, and of a case that lacked a modality, since it is of complete ones; of
        one structure, where no case of the calibration was of its kind.

        Raises
        ------
        ValueError
            If the model has a calibration and the segmenter was not to keep probabilities.
        """
        return None if self.calibration is None else self.calibration.expected(self.raw_confidence)

    @cached_property
    def volumes_ml(self) -> dict[str, float]:
        """Millilitres of each structure; the voxel's volume comes from the affine."""
        voxel = voxel_volume_ml(self._working_affine)
        _, necrotic, oedema, enhancing = (count * voxel for count in self.class_counts)
        return {
            "whole_tumour": necrotic + oedema + enhancing,
            "tumour_core": necrotic + enhancing,
            "enhancing": enhancing,
            "necrotic": necrotic,
            "oedema": oedema,
        }

    @cached_property
    def record(self) -> RunRecord:
        """What came in, what it was run through and what came out; every file written carries it (docs/record.md).

        It is made when it is first asked for, and hashes the labels as they are then.

        Raises
        ------
        ValueError
            If the result comes from no segmenter.
        """
        from .records.making import make_record

        if self.provenance is None:
            raise ValueError("this result has no provenance to make a record of: take one that a Segmenter gave")
        return make_record(self, self.provenance)

    @property
    def portable_warnings(self) -> tuple[str, ...]:
        """`warnings` as files carry them: with names of files instead of paths, and without the case's own."""
        from .records.making import portable_warnings

        return self.warnings if self.provenance is None else portable_warnings(self, self.provenance)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the label map as uint8 NIfTI on the input's grid, by a temporary file and a rename.

        The reference's affine, sform and qform codes and units are kept; the description says that this is for research
        use only, and an extension carries the record.

        Raises
        ------
        CaseError
            If the path is not .nii or .nii.gz, exists without `overwrite`, or cannot be written.
        """
        from .nifti_writer import label_image, write_nifti

        write_nifti(label_image(self), path, overwrite=overwrite)

    def save_probabilities(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the softmax as a 4-D float32 NIfTI of the crop, whose affine places it on the input.

        Raises
        ------
        CaseError
            As `save`.
        """
        from .nifti_writer import probability_image, write_nifti

        write_nifti(probability_image(self), path, overwrite=overwrite)

    def save_entropy(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write `entropy` as a 3-D float32 NIfTI of the crop, whose affine places it on the input.

        Raises
        ------
        CaseError
            As `save`.
        """
        from .nifti_writer import entropy_image, write_nifti

        write_nifti(entropy_image(self), path, overwrite=overwrite)

    def save_brain_mask(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write `brain_mask` as uint8 NIfTI on the labels' grid, 1 in the brain.

        Raises
        ------
        CaseError
            As `save`.
        ValueError
            If nothing was taken away, so that there is no mask.
        """
        from .nifti_writer import mask_image, write_nifti

        write_nifti(mask_image(self), path, overwrite=overwrite)

    def save_dicom(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the labels as a DICOM segmentation object of the series that they lie on (docs/raw.md).

        It carries the patient's module, as the images do.

        Raises
        ------
        CaseError
            As `save`; if the labels lie on no DICOM series, or there are none.
        """
        from .raw.segmentation_object import save_segmentation_object

        save_segmentation_object(self, path, overwrite=overwrite)

    @property
    def crop_affine(self) -> NDArray[np.float64]:
        """(4, 4) float64, from voxels of `probabilities` to millimetres."""
        depth, height, width = self._kept_softmax().shape[2:]
        return crop_affine(self._working_affine, self.box, (depth, height, width))

    @cached_property
    def brain_mask(self) -> NDArray[np.bool_] | None:
        """(X, Y, Z) bool on the grid of `labels`: the brain of a raw exam; None where nothing was taken away."""
        from .resampling import covered

        if self.raw is None or self.raw.mask is None:
            return None
        x, y, z = self.labels.shape
        return covered(self.raw.mask.volume, self.raw.mask.affine, self.affine, (x, y, z))

    @property
    def _working_affine(self) -> NDArray[np.float64]:
        """Of the grid that was counted on."""
        return self.affine if self.raw is None else self.raw.grid.affine

    def _kept_softmax(self) -> NDArray[np.float32]:
        if self.softmax is None:
            raise ValueError("the probabilities of this run were not kept: use Segmenter(..., keep_probabilities=True)")
        return self.softmax
