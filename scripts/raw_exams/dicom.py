"""Exams as DICOM files: volumes on grids of their own, with the headers that scanners write."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

# What an exam of the head usually holds: names and times of each modality.
USUAL = {
    "t1": {"SeriesDescription": "t1_mprage_sag", "RepetitionTime": 2000, "EchoTime": 2.9, "InversionTime": 900},
    "t2": {"SeriesDescription": "T2 TSE ax", "RepetitionTime": 5200, "EchoTime": 98},
    "t1ce": {"SeriesDescription": "t1_mprage_sag +KM", "RepetitionTime": 2000, "EchoTime": 2.9, "InversionTime": 900},
    "flair": {"SeriesDescription": "FLAIR oblique", "RepetitionTime": 9000, "EchoTime": 120, "InversionTime": 2500},
}


@dataclass
class Room:
    """What the files of an exam share."""

    folder: Path
    patient: str = "Doe^Jane"
    identifier: str = "4711"
    study: str = field(default_factory=generate_uid)
    frame_of_reference: str = field(default_factory=generate_uid)
    shuffle: random.Random = field(default_factory=lambda: random.Random(0))
    written: int = 0

    def dataset(self, sop_class: str, number: int, series: str) -> FileDataset:
        """A file's header without an image."""
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = sop_class
        meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = self.patient, self.identifier, "19700101"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = self.study, series
        dataset.FrameOfReferenceUID, dataset.SeriesNumber, dataset.Modality = self.frame_of_reference, number, "MR"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        dataset.AcquisitionDate, dataset.AcquisitionTime = "20260102", f"10{number:02d}00"
        dataset.InstanceNumber = self.shuffle.randrange(1, 10000)  # says nothing
        return dataset

    def save(self, dataset: FileDataset) -> Path:
        """Write a file under a name that says nothing, in one of three folders."""
        self.written += 1
        folder = self.folder / f"{self.shuffle.randrange(3)}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.shuffle.randrange(10**9):09d}{self.shuffle.choice(['', '.dcm', '.IMA'])}"
        dataset.save_as(path, enforce_file_format=True)
        return path


def lps(affine):
    """Directions, distances and the places of the first voxel, as DICOM has them."""
    placed = _RAS_TO_LPS @ affine
    lengths = np.linalg.norm(placed[:3, :3], axis=0)
    return placed, placed[:3, :3] / lengths, lengths


def _image(dataset, plane):
    """An image of (x, y) as rows and columns."""
    stored = np.ascontiguousarray(plane.T)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"


def write_series(room, volume, affine, *, number=1, scales=None, **tags):
    """A classic series, a file a slice in any order; the paths in the order of the slices."""
    placed, directions, lengths = lps(affine)
    series = tags.pop("SeriesInstanceUID", None) or generate_uid()
    paths = {}
    order = list(range(volume.shape[2]))
    room.shuffle.shuffle(order)
    for k in order:
        dataset = room.dataset(MR, number, series)
        dataset.ImageOrientationPatient = [round(float(v), 9) for v in (*directions[:, 0], *directions[:, 1])]
        dataset.ImagePositionPatient = [round(float(v), 7) for v in (placed @ [0, 0, k, 1])[:3]]
        dataset.PixelSpacing = [float(lengths[1]), float(lengths[0])]
        dataset.SliceThickness = float(lengths[2])
        if scales is not None:
            dataset.RescaleSlope, dataset.RescaleIntercept = scales[k]
        for name, value in tags.items():
            setattr(dataset, name, value)
        _image(dataset, volume[:, :, k])
        paths[k] = room.save(dataset)
    return [paths[k] for k in range(volume.shape[2])]


def write_enhanced(room, volume, affine, *, number=1, **tags):
    """A series in one file of many frames, in any order."""
    placed, directions, lengths = lps(affine)
    dataset = room.dataset(ENHANCED_MR, number, generate_uid())
    for name in ("SeriesDescription", "MRAcquisitionType"):
        if name in tags:
            setattr(dataset, name, tags[name])
    shared = Dataset()
    shared.PixelMeasuresSequence = _one(PixelSpacing=[float(lengths[1]), float(lengths[0])], SliceThickness=1.0)
    shared.PlaneOrientationSequence = _one(
        ImageOrientationPatient=[round(float(v), 9) for v in (*directions[:, 0], *directions[:, 1])]
    )
    shared.MRTimingAndRelatedParametersSequence = _one(RepetitionTime=tags["RepetitionTime"], FlipAngle=9)
    shared.MREchoSequence = _one(EffectiveEchoTime=tags["EchoTime"])
    if "InversionTime" in tags:
        shared.MRModifierSequence = _one(InversionRecovery="YES", InversionTimes=[tags["InversionTime"]])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    order = list(range(volume.shape[2]))
    room.shuffle.shuffle(order)
    groups = []
    for k in order:
        group = Dataset()
        place = [round(float(v), 7) for v in (placed @ [0, 0, k, 1])[:3]]
        group.PlanePositionSequence = _one(ImagePositionPatient=place)
        group.FrameContentSequence = _one(StackID="1", InStackPositionNumber=1)
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    dataset.NumberOfFrames = len(order)
    _image(dataset, volume[:, :, 0])
    dataset.PixelData = np.ascontiguousarray(volume[:, :, order].transpose(2, 1, 0)).tobytes()
    return room.save(dataset)


def _one(**values):
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def recompress(path, syntax):
    """The same file in another transfer syntax, by GDCM."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def changed(path, **tags):
    """Change values of a file's header."""
    dataset = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path)
