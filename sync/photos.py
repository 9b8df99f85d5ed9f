"""The print copy of a photo.

The original stays untouched: it is the evidence.  What is printed is a small RGB JPEG without
camera data, because large, transparent or CMYK pictures slow the paper down or break PDF/A.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator

from PIL import Image, ImageCms, ImageFile, ImageOps

from sync.problems import Problem

EDGE = 1600
"""Long edge of the print copy in pixels."""

THUMBNAIL_EDGE = 320
"""Long edge of the picture in a strip: twice the width it has on a phone of ordinary density."""

QUALITY = 80

BYTES = 30_000_000
"""Largest original in bytes that is opened at all."""

PIXELS = 40_000_000
"""Largest original in pixels: a 17 kB PNG of 144 megapixels costs 1.2 GB once decoded."""

FORMATS = ("JPEG", "PNG", "WEBP")
"""What phones make.  Everything else is kept, named on the paper and not shown."""


def print_copy(original: bytes) -> bytes:
    """``original`` upright as an RGB JPEG, long edge at most EDGE, without camera data or profile.

    A smaller picture is not enlarged.  Transparent parts become white.
    Raises Problem("photo.too-many-pixels") above PIXELS (told from the header, nothing is decoded),
    Problem("photo.unreadable") above BYTES and for what is no picture of FORMATS.
    """
    if len(original) > BYTES:
        raise Problem("photo.unreadable")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(original), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Problem("photo.too-many-pixels", limit=PIXELS) from None
    except Exception as cause:  # a decoder may raise anything at hostile bytes
        raise Problem("photo.unreadable") from cause
    with image:
        if image.width * image.height > PIXELS:
            raise Problem("photo.too-many-pixels", limit=PIXELS)
        try:
            with _whole_files_only():
                return _small_jpeg(image)
        except Exception as cause:
            raise Problem("photo.unreadable") from cause


def thumbnail(copy: bytes) -> bytes:
    """A print copy once more, long edge at most THUMBNAIL_EDGE."""
    with Image.open(io.BytesIO(copy), formats=("JPEG",)) as image:
        image.draft("RGB", (THUMBNAIL_EDGE, THUMBNAIL_EDGE))
        image.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


@contextlib.contextmanager
def _whole_files_only() -> Iterator[None]:
    """Half a photo is no photo: importing WeasyPrint tells Pillow otherwise, for the whole process.

    The switch is the process's; at worst another thread is as strict for a moment.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _small_jpeg(image: Image.Image) -> bytes:
    # the JPEG decoder scales by itself: a quarter of the time, a tenth of the memory
    image.draft("RGB", (EDGE, EDGE))
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    image.thumbnail((EDGE, EDGE))
    profile = image.info.get("icc_profile")
    image = _on_white(ImageOps.exif_transpose(image))
    image = _in_srgb(image, profile)
    # a JPEG comment would be written again from here
    image.info.clear()
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile costs a little colour, not the photo
    return image.convert("RGB")
