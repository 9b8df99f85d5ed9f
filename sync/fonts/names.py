"""``python sync/fonts/names.py FOLDER``: makes ``Names-Regular.ttf`` and ``Names-Bold.ttf`` anew.

FOLDER holds ``NotoSansHK_400Regular.ttf``, ``NotoSansHK_700Bold.ttf`` and the same of TC, JP and
KR, as README.md here says.  Every hanzi that they have and Noto Sans SC lacks goes over, from the
first of them that has it.  The same fonts and the same fontTools give the same bytes.
"""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path

from fontTools.merge import Merger
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

REGIONS = ("HK", "TC", "JP", "KR")
FAMILY = "Fieldapp Names"
WEIGHTS = {"Regular": "400Regular", "Bold": "700Bold"}
HERE = Path(__file__).parent


def is_hanzi(point: int) -> bool:
    """Whether ``point`` is a Chinese character that stays itself when text is composed (NFC)."""
    character = chr(point)
    is_named = unicodedata.name(character, "").startswith("CJK ")
    is_letter = unicodedata.category(character) == "Lo"
    return is_named and is_letter and unicodedata.normalize("NFC", character) == character


def make(folder: Path, weight: str) -> None:
    """Write the font of one weight beside this file."""
    main = TTFont(HERE / f"NotoSansSC-{weight}.ttf")
    known = set(main.getBestCmap())
    parts = []
    for region in REGIONS:
        font = TTFont(folder / f"NotoSans{region}_{WEIGHTS[weight]}.ttf", recalcTimestamp=False)
        wanted = {point for point in font.getBestCmap() if is_hanzi(point)} - known
        known |= wanted
        # outlines and widths only: without kerning and variants there is nothing to choose
        options = Options(layout_features=[], hinting=False, glyph_names=False, notdef_outline=True)
        options.drop_tables += ["vhea", "vmtx", "VORG", "BASE", "GSUB", "GPOS", "GDEF", "STAT"]
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=wanted)
        subsetter.subset(font)
        part = folder / f"part-{region}-{weight}.ttf"
        font.save(part)
        parts.append(str(part))
    font = Merger().merge(parts)
    names = font["name"]
    # who made the outlines and what they allow
    kept = {number: main["name"].getDebugName(number) for number in (0, 5, 13, 14)}
    names.names = []
    kept |= {1: FAMILY, 2: weight, 4: f"{FAMILY} {weight}", 6: f"FieldappNames-{weight}"}
    for number, text in sorted(kept.items()):
        names.setName(text, number, 3, 1, 0x409)
    font["head"].created = font["head"].modified = main["head"].modified
    font.recalcTimestamp = False
    font.save(HERE / f"Names-{weight}.ttf")


if __name__ == "__main__":
    for each in WEIGHTS:
        make(Path(sys.argv[1]), each)
