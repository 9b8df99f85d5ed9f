"""What can be done to a sealed paper, by anybody who holds it."""

from __future__ import annotations

import io
import random
from typing import Any

import pikepdf
from asn1crypto import cms
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter


def flipped(pdf: bytes, at: int, bit: int = 0) -> bytes:
    """With one bit changed in the byte at ``at``."""
    return pdf[:at] + bytes([pdf[at] ^ (1 << bit)]) + pdf[at + 1 :]


def ranges(pdf: bytes) -> list[int]:
    """What the first signature says it covers: start, length, start, length."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        fields: Any = document.Root.AcroForm.Fields
        return [int(number) for number in fields[0].V.ByteRange]


def parts(pdf: bytes) -> dict[str, range]:
    """Where the ``signed`` bytes are (two runs of them), the ``cms`` in hex and its ``padding``."""
    start, length, start2, length2 = ranges(pdf)
    hole = range(start + length + 1, start2 - 1)  # without < and >
    der = bytes.fromhex(pdf[hole.start : hole.stop].decode())
    end = hole.start + 2 * len(cms.ContentInfo.load(der).dump())
    return {
        "signed": range(start, start + length),
        "signed behind": range(start2, start2 + length2),
        "cms": range(hole.start, end),
        "padding": range(end, hole.stop),
    }


def flips(pdf: bytes, seed: int = 7) -> list[tuple[str, int, int]]:
    """Two hundred single bits all over the file, as (part, byte, bit), the same every time."""
    dice = random.Random(seed)
    wanted = {"signed": 110, "signed behind": 40, "cms": 35, "padding": 15}
    where = parts(pdf)
    return [
        (part, dice.choice(where[part]), dice.randrange(8))
        for part, count in wanted.items()
        for _ in range(count)
    ]


def cut_off(pdf: bytes) -> bytes:
    """Without everything that came with the seal."""
    return pdf[: pdf.rindex(b"%%EOF", 0, ranges(pdf)[2]) + 6]


def stripped(pdf: bytes) -> bytes:
    """Written anew without its seal, by a tool anybody has."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        del document.Root.AcroForm
        del document.Root.Perms
        for sheet in document.pages:
            if "/Annots" in sheet:
                del sheet.Annots
        document.save(out)
    return out.getvalue()


def page_replaced(pdf: bytes) -> bytes:
    """With other content on its first page, added behind the last byte."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    page = writer.root["/Pages"]["/Kids"][0].get_object()
    page["/Contents"] = writer.add_object(
        generic.StreamObject(stream_data=b"q 0 0 200 200 re f Q\n")
    )
    writer.update_container(page)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()
