"""What a model expects of its input and means by its output.

The order of modalities belongs to the model, so it is stored with the model (ONNX metadata) and never
assumed by a caller: volumes are handed over by name. Sources: the model card of
`brain-tumor-segmentation-0001` and the authors' released code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from .errors import EngineError

Modality = Literal["t1", "t2", "t1ce", "flair"]
Normalisation = Literal["authors", "card"]
LabelScheme = Literal["brats", "brats2023", "msd"]
Missing = Literal["refuse", "mask"]  # what is done about modalities that a case lacks

MODALITIES: tuple[Modality, ...] = get_args(Modality)
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)

# The value written for each class of the network: background, necrotic core, oedema, enhancing tumour.
LABEL_VALUES: Mapping[LabelScheme, tuple[int, int, int, int]] = {
    "brats": (0, 1, 2, 4),
    "brats2023": (0, 1, 2, 3),
    "msd": (0, 2, 1, 3),
}

METADATA_KEY = "brats_trt.spec"
# Says "trained" where a model was trained with modalities left out where its encoders meet, so that it can do without.
INCOMPLETE_KEY = "brats_trt.incomplete_cases"
INCOMPLETE_TRAINED = "trained"


@dataclass(frozen=True)
class Spec:
    """The preprocessing that a model was trained with.

    Attributes
    ----------
    modalities
        The channels of the network's input, in order; a permutation of ``MODALITIES``.
    normalisation
        ``"authors"``: z-score over a modality's own mask, clipped to ±5 and mapped to 0..1, then crop and
        resample. ``"card"``: crop, resample, then z-score over non-zero voxels.
    """

    modalities: tuple[Modality, ...] = MODALITIES
    normalisation: Normalisation = "authors"

    def __post_init__(self) -> None:
        if sorted(self.modalities) != sorted(MODALITIES):
            raise EngineError(
                f"the model's spec names the modalities {list(self.modalities)}; expected each of "
                f"{list(MODALITIES)} once: convert the model again"
            )
        if self.normalisation not in NORMALISATIONS:
            raise EngineError(
                f"the model's spec names the normalisation {self.normalisation!r}; expected one of "
                f"{list(NORMALISATIONS)}: convert the model again"
            )

    def to_metadata(self) -> dict[str, str]:
        """The entry that ONNX metadata carries."""
        return {METADATA_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Spec:
        """Read a model's spec.

        Raises
        ------
        EngineError
            If the entry is missing or not understood.
        """
        try:
            fields = json.loads(metadata[METADATA_KEY])
            return cls(tuple(fields["modalities"]), fields["normalisation"])
        except KeyError as missing:
            raise EngineError(
                f"the model carries no preprocessing spec ({missing} is absent), so the order of its modalities is "
                "unknown: export it with `brats-trt convert`, or pass `spec=brats_trt.Spec(...)`"
            ) from None
        except (TypeError, ValueError) as fault:
            raise EngineError(f"the model's preprocessing spec is not readable ({fault}): convert it again") from None
