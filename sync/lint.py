"""A lint of our own papers before they leave: the rules of PDF/A-3b a paper of ours could break.

A lint, not a validator: it knows the traps of our renderer, our photos and our seal, and nothing of
the rest of ISO 19005-3.  Whoever owns a validator should run it before a release.  Transparency is
no finding: PDF/A-3 allows it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pikepdf

FILES = 200
"""Most attachments looked at."""


class Finding(NamedTuple):
    """``rule`` is a stable word, ``text`` says where and what."""

    rule: str
    text: str


def lint(pdf: bytes) -> list[Finding]:
    """What in ``pdf`` breaks PDF/A-3b as far as this lint knows; empty is good.

    Rules: ``unreadable``, ``encrypted``, ``identification`` (XMP names part 3, level B),
    ``output-intent``, ``attachment`` (F, UF, AFRelationship, AF, MIME type, date), ``interpolate``,
    ``cmyk``, ``font`` (embedded), ``notdef`` (a character without a glyph), ``annotation``
    (appearance, printable).  Never raises for anything in ``pdf``.
    """
    try:
        with pikepdf.open(io.BytesIO(pdf)) as document:
            return [*_document(document), *_attachments(document), *_pages(document)]
    except pikepdf.PasswordError:
        return [Finding("encrypted", "asks for a password")]
    except Exception as cause:  # a damaged file may fail anywhere
        return [Finding("unreadable", f"{type(cause).__name__}: {str(cause)[:120]}")]


def _document(document: pikepdf.Pdf) -> Iterator[Finding]:
    if document.is_encrypted:
        yield Finding("encrypted", "the trailer names an encryption")
    with document.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
        status = metadata.pdfa_status
    if status != "3B":
        yield Finding("identification", f"XMP says {status or 'nothing'}, not 3B")
    intents: Any = document.Root.get("/OutputIntents", [])
    profiles = [
        intent["/DestOutputProfile"]
        for intent in intents
        if intent.get("/S") == "/GTS_PDFA1" and "/DestOutputProfile" in intent
    ]
    if not profiles:
        yield Finding("output-intent", "no GTS_PDFA1 output intent with a profile")
    elif int(profiles[0].get("/N", 0)) != 3:
        yield Finding("output-intent", "the profile is not RGB")


def _attachments(document: pikepdf.Pdf) -> Iterator[Finding]:
    associated = {one.objgen for one in document.Root.get("/AF", [])}
    # every file specification, not only those the name tree lists: a reader finds them all
    specs = [
        one
        for one in document.objects
        if isinstance(one, pikepdf.Dictionary) and (one.get("/Type") == "/Filespec" or "/EF" in one)
    ]
    for spec in specs[:FILES]:
        name = str(spec.get("/UF", spec.get("/F", "?")))[:60]
        for key in ("/F", "/UF", "/EF", "/AFRelationship"):
            if key not in spec:
                yield Finding("attachment", f"{name}: no {key}")
        if spec.objgen not in associated:
            yield Finding("attachment", f"{name}: not in the catalog's AF")
        stream = spec.get("/EF", pikepdf.Dictionary()).get("/F")
        if stream is None:
            continue
        if not re.fullmatch(r"/[^/]+/[^/]+", str(stream.get("/Subtype", ""))):
            yield Finding("attachment", f"{name}: no MIME type")
        if "/ModDate" not in stream.get("/Params", pikepdf.Dictionary()):
            yield Finding("attachment", f"{name}: no date")


def _pages(document: pikepdf.Pdf) -> Iterator[Finding]:
    seen: set[tuple[int, int]] = set()
    for number, page in enumerate(document.pages, 1):
        where = f"page {number}"
        yield from _content(page.obj, where, seen)
        for annotation in page.obj.get("/Annots", []):
            yield from _annotation(annotation, where)
            for appearance in _appearances(annotation):
                if appearance.objgen not in seen:
                    seen.add(appearance.objgen)
                    yield from _content(appearance, f"{where} annotation", seen)


def _annotation(annotation: Any, where: str) -> Iterator[Finding]:
    kind = str(annotation.get("/Subtype", "?"))
    if kind == "/Popup":
        return
    flags = int(annotation.get("/F", 0))
    # bit 3 is print; invisible, hidden, no view and toggle no view must be unset
    if not flags & 4 or flags & (1 | 2 | 32 | 256):
        yield Finding("annotation", f"{where}: {kind} does not print")
    left, bottom, right, top = (float(edge) for edge in annotation["/Rect"])
    if kind != "/Link" and left != right and bottom != top and "/AP" not in annotation:
        yield Finding("annotation", f"{where}: {kind} has no appearance")


def _appearances(annotation: Any) -> Iterator[Any]:
    for look in annotation.get("/AP", pikepdf.Dictionary()).values():
        if isinstance(look, pikepdf.Stream):
            yield look
        else:  # one for every state of a button
            yield from (one for one in look.values() if isinstance(one, pikepdf.Stream))


def _content(owner: Any, where: str, seen: set[tuple[int, int]]) -> Iterator[Finding]:
    """A page, form or pattern and everything it draws with."""
    resources = owner.get("/Resources", pikepdf.Dictionary())
    fonts: dict[str, dict[int, int] | None] = {}
    for name, font in resources.get("/Font", pikepdf.Dictionary()).items():
        if font.objgen not in seen or font.objgen == (0, 0):
            seen.add(font.objgen)
            yield from _font(font, where)
        fonts[name] = _cid_map(font)
    for name, drawn in resources.get("/XObject", pikepdf.Dictionary()).items():
        if drawn.objgen in seen:
            continue
        seen.add(drawn.objgen)
        if drawn.get("/Subtype") == "/Image":
            yield from _image(drawn, f"{where} {name}")
        else:
            yield from _content(drawn, f"{where} {name}", seen)
    for pattern in resources.get("/Pattern", pikepdf.Dictionary()).values():
        if isinstance(pattern, pikepdf.Stream) and pattern.objgen not in seen:
            seen.add(pattern.objgen)
            yield from _content(pattern, where, seen)
    yield from _drawn(owner, where, fonts)


def _image(image: Any, where: str) -> Iterator[Finding]:
    if image.get("/Interpolate", False):
        yield Finding("interpolate", f"{where} asks for interpolation")
    if _is_cmyk(image.get("/ColorSpace")):
        yield Finding("cmyk", f"{where} is CMYK without a profile")
    if "/SMask" in image:
        yield from _image(image["/SMask"], f"{where} mask")


def _is_cmyk(space: Any) -> bool:
    if space is None:
        return False
    if space == "/DeviceCMYK":
        return True
    # an indexed or separated space stands on another one
    return isinstance(space, pikepdf.Array) and any(
        one == "/DeviceCMYK" for one in space if isinstance(one, pikepdf.Name)
    )


def _font(font: Any, where: str) -> Iterator[Finding]:
    if font.get("/Subtype") == "/Type3":
        return
    carrier = font["/DescendantFonts"][0] if "/DescendantFonts" in font else font
    descriptor = carrier.get("/FontDescriptor", pikepdf.Dictionary())
    if not any(key in descriptor for key in ("/FontFile", "/FontFile2", "/FontFile3")):
        yield Finding("font", f"{where}: {font.get('/BaseFont', '?')} is not embedded")


def _cid_map(font: Any) -> dict[int, int] | None:
    """Code -> glyph of a two-byte font: empty for Identity-H, None for a font of single bytes."""
    if font.get("/Subtype") != "/Type0":
        return None
    encoding = font.get("/Encoding")
    if not isinstance(encoding, pikepdf.Stream):
        return {}
    pairs = re.findall(rb"<([0-9a-fA-F]{4})>\s+(\d+)\s", encoding.read_bytes() + b"\n")
    return {int(code, 16): int(cid) for code, cid in pairs}


def _drawn(owner: Any, where: str, fonts: dict[str, dict[int, int] | None]) -> Iterator[Finding]:
    """CMYK colours and characters that draw the empty box (glyph 0)."""
    if not (isinstance(owner, pikepdf.Stream) or "/Contents" in owner):
        return
    mapping: dict[int, int] | None = None
    missing = 0
    for instruction in pikepdf.parse_content_stream(owner, "Tf Tj TJ ' \" k K cs CS"):
        operands: Any = instruction.operands
        name = str(instruction.operator)
        if name == "Tf":
            mapping = fonts.get(str(operands[0]))
        elif name in ("k", "K") or (name in ("cs", "CS") and operands[0] == "/DeviceCMYK"):
            yield Finding("cmyk", f"{where} draws in CMYK without a profile")
        elif name not in ("cs", "CS") and mapping is not None:
            shown = operands[-1]
            for text in shown if isinstance(shown, pikepdf.Array) else [shown]:
                if isinstance(text, pikepdf.String):
                    missing += _empty_boxes(bytes(text), mapping)
    if missing:
        yield Finding("notdef", f"{where} shows {missing} characters without a glyph")


def _empty_boxes(codes: bytes, mapping: dict[int, int]) -> int:
    pairs = (codes[at] << 8 | codes[at + 1] for at in range(0, len(codes) - 1, 2))
    return sum(mapping.get(code, code) == 0 for code in pairs)
