"""Looking over a case before it is segmented: what in its headers and intensities suggests a mistake.

A check is a function from the evidence to a finding or None. It stays silent where the evidence is too little to judge
by; `docs/warnings.md` has each one's statistic and threshold, and how often it errs on phantoms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..case import Case
from ..errors import CaseError
from .copies import find_copies
from .cut_off import find_cut
from .evidence import Evidence, gather_evidence
from .finding import Finding
from .left_right import find_ambiguous_sides
from .missing import find_missing
from .orientation import find_turned_axes
from .quantised import find_few_values
from .saturated import find_saturation
from .size import find_small_head
from .skull import find_skull
from .swapped import find_swapped
from .tilt import find_tilted_head
from .voxel_size import find_voxel_size

__all__ = ["CHECKS", "Finding", "inspect_case", "refusal"]

# What is not there, the headers, then where the head lies, then its intensities: the order in which findings are given.
CHECKS: tuple[Callable[[Evidence], Finding | None], ...] = (
    find_missing,
    find_ambiguous_sides,
    find_turned_axes,
    find_voxel_size,
    find_skull,
    find_small_head,
    find_cut,
    find_tilted_head,
    find_copies,
    find_swapped,
    find_saturation,
    find_few_values,
)


def inspect_case(case: Case) -> tuple[Finding, ...]:
    """All that looks wrong with a case, in the order of `CHECKS`.

    Of volumes on a GPU, only the headers are looked at: nothing is copied for it.
    """
    evidence = gather_evidence(case)
    return tuple(finding for check in CHECKS if (finding := check(evidence)) is not None)


def refusal(case: str, findings: Sequence[str]) -> CaseError:
    """The error of a strict run, which names all findings; `findings` are their messages."""
    number = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
    return CaseError(f"{case}: refused as strict demands, for {number}: {'; '.join(findings)}")
