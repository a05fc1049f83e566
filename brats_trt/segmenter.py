"""From volumes to a segmentation: the public entry."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, get_args

from .backend_choice import BackendChoices, Device, open_backend
from .backends import StageOptions
from .case import Case, ImageSource, load_case
from .confidence import Calibration
from .inspection import inspect_case, refusal
from .pipeline import CaseOutcome, run_stages
from .raw.options import RawOptions
from .records.inputs import HashInputs, input_records
from .records.making import provenance
from .records.parts import InputRecord, OptionsRecord
from .segmentation import Segmentation
from .spec import LABEL_VALUES, LabelScheme, Missing, Spec
from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from .backends.cpu_engine import Runtime
    from .backends.precision import Precision
    from .raw.preparation import Prepared
    from .raw.source import RawSource
    from .strip.extractor import BrainExtractor


class CaseWarning(UserWarning):
    """Something was found in the input that a run survives."""


def demo_model() -> Path:
    """The ONNX file of the model that the package carries."""
    return Path(str(files("brats_trt"))) / "engines" / "demo.onnx"


def _unheard(stage: str) -> None:
    """For runs that nobody watches."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A case in memory, what was found in it, and how long that took."""

    case: Case
    inputs: tuple[InputRecord, ...]
    findings: tuple[str, ...]
    timings_ms: Mapping[str, float]
    raw: Prepared | None = None


class Segmenter:
    """A loaded network with everything around it.

    Loading and compiling happen here, once. One segmenter runs one case at a time; calls from other threads wait.

    Parameters
    ----------
    engine
        An .onnx file from `brats-trt convert`, or a plan from `brats-trt build`; None is the demo model, which knows
        synthetic data only.
    device
        "cpu", "cuda", or "auto": by the engine's kind, .onnx on the CPU and a plan on the GPU. It is never changed
        quietly. On "cuda", a plan of an .onnx file is built once and kept in a cache.
    tta
        Average the softmax with that of the input mirrored along array axis 1: twice the time.
    min_region
        Tumour regions smaller than this share of (voxels - voxels of the largest class) are dropped; 0 keeps all.
    labels
        The values written: "brats" (necrotic core 1, oedema 2, enhancing 4), "brats2023" (1, 2, 3) or "msd" (2, 1, 3).
    runtime
        What computes the network on the CPU: "native", which is this package's own and knows the cascade that `convert`
        writes, "openvino", or "auto": native wherever it can. A plan has its own.
    precision
        "fp32", "bf16", "fp16", or "auto": 16 bits only where the processor has them and the labels of this
        model are on record to agree with FP32's. A plan has its own; one that is built for "cuda" is FP16.
    spec
        Taken instead of the preprocessing spec that the model carries.
    threads
        For the stages and the network; None is all cores that this process may use.
    keep_probabilities
        Whether results have `probabilities`; on a GPU a run is faster without. "calibrated": only where the model has a
        calibration, for `confidence`.
    keep_volumes
        Whether results have the `case` that they were made of, for pictures and reports; it takes the memory of the
        volumes as they were loaded.
    strict
        Refuse a case with anything to warn of, instead of warning; a masked modality is something to warn of.
    missing
        What is done with cases that lack one to three modalities: "refuse", or "mask", which leaves them out of the
        network where its encoders meet. It takes an .onnx model that was trained for that, on the CPU.
    hash_inputs
        What records name by its sha256: "files", as they are read, "all", arrays and images in memory too, which takes
        tens of milliseconds a case, or "none".
    self_check
        On a GPU, run a made-up input whose answer is known before the first case, and refuse an engine that fails; so
        too for the brain's networks, which are loaded with the first exam that has its skull on.
    largest_shape
        On a GPU, memory is taken for volumes of up to this many voxels.

    Warns
    -----
    PlanWarning
        If a plan is built.
    KernelWarning
        If what TensorRT-RTX compiles at loading could not be taken from its file or kept in it.

    Raises
    ------
    EngineError
        If the engine cannot be read, does not fit, or cannot run on the device.
    ValueError
        If an option is out of range.
    """

    def __init__(
        self,
        engine: str | os.PathLike[str] | None = None,
        *,
        device: Device = "auto",
        tta: bool = False,
        min_region: float = 0.1,
        labels: LabelScheme = "brats",
        runtime: Runtime = "auto",
        precision: Precision = "auto",
        spec: Spec | None = None,
        threads: int | None = None,
        keep_probabilities: bool | Literal["calibrated"] = True,
        keep_volumes: bool = False,
        strict: bool = False,
        missing: Missing = "refuse",
        hash_inputs: HashInputs = "files",
        self_check: bool = True,
        largest_shape: tuple[int, int, int] = (256, 256, 256),
    ) -> None:
        if labels not in LABEL_VALUES:
            raise ValueError(f"labels {labels!r} is not known; expected one of {list(LABEL_VALUES)}")
        if not 0.0 <= min_region <= 1.0:
            raise ValueError(f"min_region is {min_region}; expected a share from 0 to 1")
        if hash_inputs not in get_args(HashInputs):
            raise ValueError(f"hash_inputs {hash_inputs!r} is not known; expected one of {list(get_args(HashInputs))}")
        if missing not in get_args(Missing):
            raise ValueError(f"missing {missing!r} is not known; expected one of {list(get_args(Missing))}")
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}; expected 1 or more, or None for all cores")
        options = StageOptions(
            tta=tta, min_region=min_region, label_values=LABEL_VALUES[labels], keep_probabilities=keep_probabilities
        )
        self._asked = OptionsRecord(bool(tta), float(min_region), labels, bool(strict), missing)
        self._hash_inputs = hash_inputs
        self._keep_volumes = keep_volumes
        self._threads = threads
        self._self_check = self_check
        path = demo_model() if engine is None else Path(engine)
        choices = BackendChoices(runtime, precision, spec, threads, self_check, largest_shape, missing == "mask")
        self._backend = open_backend(path, device, options, choices)
        self._extractors: dict[bool, BrainExtractor] = {}
        self._extractors_lock = threading.Lock()

    @property
    def device(self) -> str:
        """Where it runs."""
        return self._backend.device

    @property
    def runtime(self) -> str:
        """What computes the network: "native", "openvino", "tensorrt" or "tensorrt-rtx"."""
        return self._backend.runtime

    @property
    def precision(self) -> str:
        """What the network computes in: "fp32", "bf16" or "fp16"."""
        return self._backend.precision

    @property
    def spec(self) -> Spec:
        """What the model expects of its input."""
        return self._backend.spec

    @property
    def calibration(self) -> Calibration | None:
        """What the model says of its scores, or None: then results have no `confidence`."""
        return self._backend.calibration

    @property
    def model_sha256(self) -> str:
        """Of the model's file."""
        return self._backend.model_sha256

    def run(
        self,
        volumes: ImageSource | RawSource,
        *,
        raw: bool | RawOptions = False,
        on_stage: Callable[[str], object] | None = None,
    ) -> Segmentation:
        """Segment one case.

        Parameters
        ----------
        volumes
            A case folder with BraTS names; a mapping of modality name to path, nibabel image or 3-D array; a 4-D
            image or array in the spec's order; or the path of a Medical Segmentation Decathlon file. Never written to.
            A raw exam is a folder of DICOM files, or a case folder or a mapping whose volumes have grids of their own.
        raw
            Take an exam as the scanner left it, with skulls and on four grids: the series are recognised, aligned and
            stripped, and the labels come on the grid of one of them.
        on_stage
            Called as each stage begins, with "load"; of a raw exam "align", and "strip" where a brain is looked for;
            and "segment". For whoever watches that a run goes on.

        Returns
        -------
        Labels on the input's grid, with volumes, times and warnings. Warnings are issued as `CaseWarning` too.

        Raises
        ------
        CaseError
            If the input is at fault, or `strict` and there is something to warn of.
        EngineError
            If the network gives values that are not finite.
        """
        enter = on_stage or _unheard
        enter("load")
        loaded = self._loader(raw, enter)(volumes)
        enter("segment")
        result = self._segment(loaded)
        for warning in result.warnings:
            warnings.warn(warning, CaseWarning, stacklevel=2)
        return result

    def run_many(
        self,
        cases: Iterable[ImageSource | RawSource],
        *,
        save: Callable[[Segmentation], object] | None = None,
        raw: bool | RawOptions = False,
    ) -> Generator[CaseOutcome, None, None]:
        """Segment many cases, in their order; while one is computed, the next is loaded and the one before is saved.

        At most two cases are in memory as volumes and two as results, beside the one last yielded. One that fails ends
        as an outcome with an error, and the others go on. Work begins with the first outcome that is asked for.
        Closing the generator, as leaving a `for` loop does, drops what is not begun and waits for what is. The threads
        that load and save come on top of the segmenter's `threads`.

        Parameters
        ----------
        cases
            Each as `run` takes it. Iterated in another thread, one case ahead.
        save
            Called with each result, one after the other in another thread, before its outcome is yielded; what it
            raises is the case's error. Such as `lambda result: result.save(f"labels/{result.name}.nii.gz")`.
        raw
            As for `run`.

        Yields
        ------
        The outcome of each case: a result or an error. Warnings are issued as by `run`; where warnings are turned into
        exceptions, that exception is the case's error. A result's total time is that of its own stages.

        Raises
        ------
        Exception
            What iterating `cases` raises, after the outcomes of the cases before.
        """
        stages: list[Callable[[Any], Any]] = [self._loader(raw), self._segment]
        if save is not None:
            stages.append(partial(_saved, save))
        with closing(run_stages(cases, stages)) as outcomes:
            yield from map(_warned, outcomes)

    def _loader(self, raw: bool | RawOptions, enter: Callable[[str], object] = _unheard) -> Callable[[Any], _Loaded]:
        """What loads a case, or a raw exam."""
        if raw is False:
            return self._load
        return partial(self._load_raw, options=RawOptions() if raw is True else raw, enter=enter)

    def _load_raw(self, exam: RawSource, options: RawOptions, enter: Callable[[str], object]) -> _Loaded:
        from .raw.preparation import prepare
        from .raw.source import load_raw

        watch = Stopwatch()
        incomplete = self._asked.missing == "mask"
        digest = self._hash_inputs != "none"
        found = load_raw(exam, options.mapping, threads=self._threads, digest=digest, incomplete=incomplete)
        order = [modality for modality in self.spec.modalities if modality in found.series]

        def extractor() -> BrainExtractor:
            enter("strip")
            return self._brain_extractor(ensemble=options.strip == "ensemble")

        watch.lap("load")
        enter("align")
        prepared = prepare(found, extractor, options, watch=watch, threads=self._threads or 0)
        case = prepared.case
        case = replace(case, volumes={modality: case.volumes[modality] for modality in order})
        findings = tuple(finding.message for finding in inspect_case(case)) + prepared.account.notes
        self._refuse(case, findings)
        sources = {modality: found.series[modality].volume for modality in order}
        inputs = input_records(sources, order, hash_voxels=self._hash_inputs == "all", threads=self._threads)
        watch.lap("inspect")
        return _Loaded(case, inputs, findings, watch.laps_ms, prepared)

    def _brain_extractor(self, *, ensemble: bool) -> BrainExtractor:
        """Loaded when it is first needed, where the network runs, and kept."""
        from .strip.extractor import BrainExtractor
        from .strip.opening import open_networks

        with self._extractors_lock:
            if ensemble not in self._extractors:
                networks = open_networks(
                    self._backend, ensemble=ensemble, threads=self._threads, self_check=self._self_check
                )
                self._extractors[ensemble] = BrainExtractor(networks, threads=self._threads)
            return self._extractors[ensemble]

    def _load(self, volumes: ImageSource) -> _Loaded:
        start = perf_counter()
        order = self.spec.modalities
        incomplete = self._asked.missing == "mask"
        digest = self._hash_inputs != "none"
        case = load_case(volumes, order, threads=self._threads, digest=digest, incomplete=incomplete)
        findings = tuple(finding.message for finding in inspect_case(case))
        self._refuse(case, findings)
        hash_voxels = self._hash_inputs == "all"
        inputs = input_records(case.volumes, [*case.volumes], hash_voxels=hash_voxels, threads=self._threads)
        return _Loaded(case, inputs, findings, {"load": (perf_counter() - start) * 1e3})

    def _refuse(self, case: Case, findings: tuple[str, ...]) -> None:
        """Raise what a strict run makes of findings."""
        if self._asked.strict and findings:
            raise refusal(case.name, findings)

    def _segment(self, loaded: _Loaded) -> Segmentation:
        start = perf_counter()
        case = loaded.case
        raw = loaded.raw
        outcome = self._backend.run([*case.volumes.items()], None if raw is None else raw.placement)
        self._refuse(case, outcome.warnings)
        origin = provenance(self._backend, case.volumes, loaded.inputs, self._asked, threads=self._threads)
        timings = {**loaded.timings_ms, **outcome.timings_ms}
        timings["total"] = sum(loaded.timings_ms.values()) + (perf_counter() - start) * 1e3
        masked = tuple(modality for modality in self.spec.modalities if modality not in case.volumes)
        return Segmentation(
            name=case.name,
            labels=outcome.labels,
            label_scheme=self._asked.labels,
            affine=case.affine if raw is None else raw.placement.target_affine,
            header=None if case.header is None else case.header.copy(),
            box=outcome.box,
            softmax=outcome.softmax,
            class_counts=outcome.counts,
            timings_ms=timings,
            warnings=loaded.findings + outcome.warnings,
            model_sha256=self.model_sha256,
            masked=masked,
            case=self._kept(loaded) if self._keep_volumes else None,
            provenance=origin,
            calibration=None if masked else self._backend.calibration,  # which is of complete cases
            raw=None if raw is None else raw.account,
        )

    def _kept(self, loaded: _Loaded) -> Case:
        """The case on the grid of its labels."""
        return loaded.case if loaded.raw is None else loaded.raw.on_target(threads=self._threads or 0)


def _saved(save: Callable[[Segmentation], object], result: Segmentation) -> Segmentation:
    save(result)
    return result


def _warned(outcome: CaseOutcome) -> CaseOutcome:
    """The outcome, with its warnings issued where the caller of `run_many` stands."""
    try:
        for warning in outcome.result.warnings if outcome.result is not None else ():
            warnings.warn(warning, CaseWarning, stacklevel=3)
    except CaseWarning as fault:
        return replace(outcome, result=None, error=fault)
    return outcome
