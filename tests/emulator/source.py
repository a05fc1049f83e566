"""Reads a kernel source as far as the emulator has to: which kernels it has, which variables are shared.

Positions are found in a copy whose comments and literals are blanked, so they hold in the source itself.
Every rewriting stays on its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPAQUE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
_SHARED = re.compile(r"(\bextern\s+)?\b__shared__\s+([^;{}=]*);")
_EXTERN_NAME = re.compile(r"(?P<type>.+?)\s*\b(?P<name>\w+)\s*\[\s*\]\s*$", re.DOTALL)
_ALIGNMENT = re.compile(r"\b(?:__align__|alignas|__builtin_align__)\s*\([^()]*(?:\([^()]*\))?[^()]*\)")
_ATTRIBUTE = re.compile(r"\b(?:__launch_bounds__|__cluster_dims__|__attribute__)\s*\(")
_CALL = re.compile(r"\b(\w+)\s*\(")


@dataclass(frozen=True)
class Signature:
    """A kernel's name and its parameters as they are written."""

    name: str
    parameters: tuple[str, ...]


def blank(source: str) -> str:
    """The source with comments and literals replaced by spaces, newlines kept."""
    return _OPAQUE.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), source)


def rewrite_shared(source: str) -> str:
    """The source with its shared variables made the block's own.

    A static one becomes a guarded variable of the thread that runs the block, a dynamic one a pointer.

    Raises
    ------
    ValueError
        For a shared variable outside a function.
    """
    plain = blank(source)
    pieces, position = [], 0
    for number, found in enumerate(_SHARED.finditer(plain)):
        line = plain.count("\n", 0, found.start()) + 1
        if plain.count("{", 0, found.start()) <= plain.count("}", 0, found.start()):
            raise ValueError(f"line {line}: __shared__ outside a function; declare it in the kernel that uses it")
        declaration = source[found.start(2) : found.end(2)]
        new = _dynamic(declaration, line) if found.group(1) else _static(declaration, found.group(2), number)
        newlines = "\n" * (source.count("\n", found.start(), found.end()) - new.count("\n"))
        pieces += [source[position : found.start()], new, newlines]
        position = found.end()
    return "".join([*pieces, source[position:]])


def _dynamic(declaration: str, line: int) -> str:
    found = _EXTERN_NAME.match(_ALIGNMENT.sub("", declaration).strip())
    if found is None:
        raise ValueError(f"line {line}: extern __shared__ {declaration}: expected an array without a size, `T name[]`")
    kind, name = found["type"], found["name"]
    return f"{kind}* const {name} = reinterpret_cast<{kind}*>(::emulator::dynamic_shared());"


def _static(declaration: str, plain: str, number: int) -> str:
    names = _declared(plain)
    holder = f"emulator_shared_{number}"
    references = " ".join(f"auto& {name} = {holder}.held.{name};" for name in names)
    return (
        f"static thread_local struct {{ alignas(16) struct {{ {declaration}; }} held; char guard[64]; }} {holder};"
        f' ::emulator::expose({holder}, sizeof {holder}.held, "{", ".join(names)}"); {references}'
    )


def _declared(declaration: str) -> list[str]:
    """The names that `T a[4], b` declares."""
    bare = _ALIGNMENT.sub("", declaration)
    previous = None
    while bare != previous:  # brackets from the inside out
        previous = bare
        bare = re.sub(r"\[[^\[\]]*\]|<[^<>]*>|\([^()]*\)", " ", bare)
    return [re.findall(r"\w+", piece)[-1] for piece in bare.split(",")]


def kernels(source: str) -> list[Signature]:
    """Every kernel that is no template, in order."""
    plain = blank(source)
    found: list[Signature] = []
    for start in re.finditer(r"\b__global__\b", plain):
        before = re.split(r"[;{}]", plain[: start.start()])[-1]
        if re.search(r"\btemplate\s*<", before):
            continue
        position = start.end()
        while attribute := _ATTRIBUTE.match(plain, _skip_words(plain, position)):
            position = _closing(plain, attribute.end() - 1) + 1
        call = _CALL.search(plain, position)
        while call is not None and _ATTRIBUTE.match(plain, call.start()):
            call = _CALL.search(plain, _closing(plain, call.end() - 1))
        if call is None:
            continue
        inside = plain[call.end() : _closing(plain, call.end() - 1)]
        signature = Signature(call.group(1), tuple(_split(inside)))
        if signature.name not in {known.name for known in found}:
            found.append(signature)
    return found


def _skip_words(plain: str, position: int) -> int:
    """The position behind white space and `void`."""
    while word := re.compile(r"\s+|void\b").match(plain, position):
        position = word.end()
    return position


def _closing(plain: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(plain)):
        depth += {"(": 1, ")": -1}.get(plain[position], 0)
        if depth == 0:
            return position
    raise ValueError(f"line {plain.count(chr(10), 0, opening) + 1}: a parenthesis is never closed")


def _split(parameters: str) -> list[str]:
    pieces, depth = [""], 0
    for character in parameters:
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return [" ".join(piece.split()) for piece in pieces if piece.strip()]
