"""Which modality a series is: rules on its names and on how it was acquired, in one table.

Names and numbers each say what a series can be. Where both speak they have to agree; where they do not, or neither
speaks, the series is no modality until the user says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..spec import Modality
from .header import Acquisition

Weighting = Literal["t1", "t2", "flair"]


@dataclass(frozen=True)
class WordRule:
    """What words in a series' names mean.

    Attributes
    ----------
    meaning
        For the user.
    patterns
        Of whole words, in lower case, where every sign but "+" and "*" is a space.
    """

    meaning: str
    patterns: tuple[str, ...]

    def found_in(self, words: str) -> str:
        """The words that it found, or ""."""
        match = re.search(rf"(?<![^ ])(?:{'|'.join(self.patterns)})(?![^ ])", words)
        return match[0] if match else ""


def _rule(meaning: str, *patterns: str) -> WordRule:
    return WordRule(meaning, patterns)


# Series that are none of the four, in this order, before anything else is asked.
OTHERS = (
    _rule("a localiser", r"loc", r"lo[ck]ali[sz]\w*", r"scout", r"survey", r"plan scan", r"reperage", r"aahead\w*"),
    _rule("a localiser", r"3 ?plane\w*", r"tri ?pilot", r"smart ?brain"),
    _rule("a calibration", r"calib\w*", r"asset", r"prescan\w*", r"ref scan", r"b[01] map", r"shim\w*"),
    _rule("diffusion", r"dwi", r"dti", r"diff\w*", r"e?adc", r"trace\w*", r"tensor", r"noddi", r"b ?\d{3,4}"),
    _rule("perfusion", r"perf\w*", r"dsc", r"dce", r"p?c?asl", r"r?cb[fv]", r"mtt", r"ttp", r"tmax", r"pwi"),
    _rule("susceptibility or T2*", r"swi", r"swan", r"swip", r"venobold", r"ha?emo\w*", r"minip", r"qsm"),
    _rule("susceptibility or T2*", r"t2 ?star", r"t2\*", r"t2 (?:gre|fl2d|ffe)", r"(?:gre|ffe) t2"),
    _rule("angiography", r"tof\w*", r"mr[av]", r"angio\w*", r"venogra\w*", r"pca", r"pc ?3d", r"3d ?pc"),
    _rule("functional", r"fmri", r"bold", r"rest(?:ing)?(?: ?state)?", r"moco", r"task"),
    _rule("spectroscopy", r"mrs", r"csi", r"svs", r"press", r"spe[ck]tro\w*"),
    _rule("a subtraction", r"subs?", r"subtr\w*", r"soustr\w*"),
    _rule("a reformat", r"mpr", r"mip", r"reform\w*", r"rekon\w*", r"recon", r"refo"),
    _rule("a map or synthetic", r"map", r"t[12] ?map", r"magic", r"synt\w*", r"uni", r"inv ?[12]"),
    _rule("cisternography", r"ciss", r"fiesta\w*", r"drive", r"b ?ffe", r"trufi"),
    _rule("proton density", r"pdw?", r"dp", r"rho"),
    _rule("short-tau inversion", r"stir"),
)

# The weighting by name; FLAIR before T2, since its names have T2 beside it. A FLAIR weighted by T1 is a T1.
WEIGHTINGS: tuple[tuple[Weighting, WordRule], ...] = (
    ("t1", _rule("T1 FLAIR", r"t1 ?(?:w )?(?:flair|tirm|dark ?fl\w*)", r"flair t1")),
    ("flair", _rule("FLAIR", r"(?:t2 ?)?flair\w*", r"tirm", r"dark ?fl\w*", r"da fl", r"fluid attenuated")),
    ("t1", _rule("T1", r"s?t1(?:w|we|ce|c|gd|km|gad|post|\+c?)?", r"mp ?rage\w*", r"f?spgr", r"bravo")),
    ("t1", _rule("T1", r"tfl", r"(?:t1|3d) ?tfe", r"flash", r"vibe", r"thrive")),
    ("t2", _rule("T2", r"s?t2(?:w|we)?", r"frfse")),
)

# Words about an operation, which are not about contrast agent.
_OPERATION = r"(?:pre|post|vor|nach|prae) ?op\w*"
_AGENT = r"(?:km|gd\w*|gad\w*|dotarem|[ck]ontrast\w*|inj\w*|ce?|enh\w*)"
_NOT = r"(?:ohne|sans|without|w ?o|non|no|pre|vor|avant|prior)"
WITHOUT_AGENT = _rule(
    "before contrast agent",
    *(rf"{_NOT}(?: to| de)? ?{_AGENT}", r"pre", r"avant", r"nativ\w*", r"noncon\w*", r"unenh\w*", r"plain"),
)
WITH_AGENT = _rule(
    "after contrast agent",
    *(rf"(?:t1)?\+ ?{_AGENT}?", rf"{_AGENT}\+", r"t1(?:ce|c|gd|km|gad|post)", r"km", r"gd\w*", r"gad\w*", r"dotarem"),
    *(r"post\w*", r"[ck]ontrast\w*", r"inj\w*", r"ce", r"pc", r"enh\w*", r"apres"),
)


@dataclass(frozen=True)
class TimingRule:
    """Which numbers a weighting can have; a number that the header lacks speaks against nothing."""

    weighting: Weighting
    meaning: str
    allows: Callable[[Acquisition], bool]


def _within(value: float | None, least: float, most: float) -> bool:
    return value is None or least <= value <= most


def _allows_t1(seen: Acquisition) -> bool:
    inverted = bool(seen.inversion_ms) and _within(seen.inversion_ms, 300, 1500)
    tilted = seen.flip_deg is not None and seen.flip_deg <= 60
    return _within(seen.echo_ms, 0, 40) and (_within(seen.repetition_ms, 0, 1500) or inverted or tilted)


def _allows_t2(seen: Acquisition) -> bool:
    not_inverted = not seen.inversion_ms and not seen.inversion_recovery
    return _within(seen.echo_ms, 60, 1000) and _within(seen.repetition_ms, 1500, 30000) and not_inverted


def _allows_flair(seen: Acquisition) -> bool:
    inverted = _within(seen.inversion_ms or None, 1400, 3200)
    return _within(seen.echo_ms, 60, 1000) and _within(seen.repetition_ms, 3500, 30000) and inverted


TIMINGS = (
    TimingRule("t1", "TE to 40 ms; TR to 1500 ms, TI of 300 to 1500 ms or a flip angle to 60 degrees", _allows_t1),
    TimingRule("t2", "TE from 60 ms, TR from 1500 ms, no inversion", _allows_t2),
    TimingRule("flair", "TE from 60 ms, TR from 3500 ms, TI of 1400 to 3200 ms where it is given", _allows_flair),
)


@dataclass(frozen=True)
class Recognition:
    """What a series was taken for.

    Attributes
    ----------
    modality
        None where it is none, or in doubt.
    reason
        The evidence, or why it is none.
    stated
        Whether its contrast, given or not, is said outright and not only by silence.
    """

    modality: Modality | None
    reason: str
    stated: bool = False


def recognise(seen: Acquisition) -> Recognition:
    """A series by the rules."""
    if "LOCALIZER" in seen.image_type:
        return Recognition(None, "a localiser, by its image type")
    if "DERIVED" in seen.image_type:
        return Recognition(None, f"derived from other images ({'/'.join(seen.image_type[:4]).lower()})")
    words = _plain(seen.words)
    for rule in OTHERS:
        found = rule.found_in(words)
        if found:
            return Recognition(None, f"{rule.meaning}, by “{found}”")
    named = next(((weighting, found) for weighting, rule in WEIGHTINGS if (found := rule.found_in(words))), None)
    possible = [rule.weighting for rule in TIMINGS if rule.allows(seen)]
    if named is None:
        return _by_timing(seen, words, possible)
    weighting, found = named
    if weighting not in possible:
        return Recognition(None, f"in doubt: “{found}” by name, but {_timing(seen)} is no {weighting.upper()}")
    return _with_contrast(seen, words, weighting, f"“{found}”, {_timing(seen)}")


def _by_timing(seen: Acquisition, words: str, possible: list[Weighting]) -> Recognition:
    if len(possible) != 1 or seen.echo_ms is None or seen.repetition_ms is None:
        return Recognition(None, f"in doubt: no name that is known, and {_timing(seen)} does not tell")
    return _with_contrast(seen, words, possible[0], f"no name, {_timing(seen)}")


def _with_contrast(seen: Acquisition, words: str, weighting: Weighting, evidence: str) -> Recognition:
    if weighting != "t1":
        return Recognition(weighting, evidence)
    words = re.sub(_OPERATION, " ", words)
    without = WITHOUT_AGENT.found_in(words)
    given = "" if without else WITH_AGENT.found_in(words)
    if without and seen.contrast_agent:
        return Recognition(None, f"in doubt: “{without}” by name, but the header names a contrast agent")
    if given or seen.contrast_agent:
        return Recognition("t1ce", f"{evidence}, {f'“{given}”' if given else 'contrast agent in the header'}", True)
    return Recognition("t1", f"{evidence}, {f'“{without}”' if without else 'no sign of contrast agent'}", bool(without))


def _plain(words: str) -> str:
    """Lower case, with a space for every sign but those of contrast and T2*."""
    return re.sub(r"[^0-9a-z+*]+", " ", words.lower().replace("è", "e").replace("é", "e").replace("ä", "ae")).strip()


def _timing(seen: Acquisition) -> str:
    numbers = {"TE": seen.echo_ms, "TR": seen.repetition_ms, "TI": seen.inversion_ms}
    known = [f"{name} {value:g}" for name, value in numbers.items() if value is not None]
    return f"{', '.join(known)} ms" if known else "no times"
