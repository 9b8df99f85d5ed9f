"""The print copy of a photo: small, upright, RGB, without camera data."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageFile

from sync import photos
from sync.problems import Problem


def picture(
    mode: str = "RGB", size: tuple[int, int] = (400, 300), colour: Any = None
) -> Image.Image:
    return Image.new(mode, size, colour if colour is not None else 0)


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(io.BytesIO(jpeg))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header promises more than its bytes hold."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_erins_twelve_megapixels_become_1600_pixels() -> None:
    copy = opened(photos.print_copy(saved(picture(size=(4000, 3000)))))
    assert (copy.format, copy.mode, copy.size) == ("JPEG", "RGB", (1600, 1200))


def test_a_small_photo_is_not_enlarged() -> None:
    assert opened(photos.print_copy(saved(picture()))).size == (400, 300)


def test_a_photo_taken_sideways_stands_upright() -> None:
    image = picture(size=(400, 200), colour="white")
    image.paste("red", (0, 0, 100, 200))  # the left edge as stored is the top as seen
    exif = image.getexif()
    exif[0x0112] = 6
    copy = opened(photos.print_copy(saved(image, exif=exif)))
    assert copy.size == (200, 400)
    red, green, _ = copy.convert("RGB").getpixel((100, 20))  # type: ignore[misc]
    assert red > 200 > 60 > green


def test_place_and_camera_do_not_travel_with_the_copy() -> None:
    image = picture()
    exif = image.getexif()
    exif[0x010F] = "Erin's phone"
    exif.get_ifd(0x8825)[1] = "N"
    copy = photos.print_copy(saved(image, exif=exif, comment=b"secret comment"))
    assert not opened(copy).getexif()
    assert b"Exif" not in copy
    assert b"Erin" not in copy
    assert b"secret" not in copy


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("L", "JPEG"), ("P", "PNG"), ("LA", "PNG"), ("1", "PNG"), ("I;16", "PNG")],
)
def test_every_kind_of_colour_becomes_rgb(mode: str, kind: str) -> None:
    assert opened(photos.print_copy(saved(picture(mode), kind))).mode == "RGB"


def test_transparent_parts_become_white() -> None:
    copy = opened(photos.print_copy(saved(picture("RGBA", colour=(0, 0, 0, 0)), "PNG")))
    assert copy.getpixel((200, 150)) == (255, 255, 255)


def test_a_webp_photo_is_taken() -> None:
    assert opened(photos.print_copy(saved(picture(), "WEBP"))).format == "JPEG"


@pytest.mark.parametrize("side", [10_000, 12_000, 60_000])
def test_a_hundred_megapixels_are_refused_from_the_header(side: int) -> None:
    # the file holds no pixels at all: had anything been decoded, it would be unreadable
    with pytest.raises(Problem) as refused:
        photos.print_copy(png_claiming(side, side))
    assert refused.value.code == "photo.too-many-pixels"


def whole_photo() -> bytes:
    return saved(picture(size=(800, 600), colour="green"))


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"not a photo",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        png_claiming(20, 20),
        saved(picture(), "GIF"),
        whole_photo()[: len(whole_photo()) // 2],
        bytes(photos.BYTES + 1),
    ],
    ids=["empty", "text", "svg", "eps", "no-pixels", "gif", "cut", "too-many-bytes"],
)
def test_what_cannot_be_shown_is_named_unreadable(
    odd: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as WeasyPrint leaves it behind
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(Problem) as refused:
        photos.print_copy(odd)
    assert refused.value.code == "photo.unreadable"
