"""Bar codes as pictures and as what a camera sees."""

from __future__ import annotations

import io
from pathlib import Path

import zxingcpp
from PIL import Image

WIDTH, HEIGHT = 640, 480
GREY = 190


def picture(*codes: tuple[str, str]) -> Image.Image:
    """A grey wall with labels one above the other, each a (format, text)."""
    wall = Image.new("L", (WIDTH, HEIGHT), GREY)
    room = HEIGHT // len(codes)
    for index, (name, text) in enumerate(codes):
        made = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, name))
        bars = Image.fromarray(zxingcpp.write_barcode_to_image(made, scale=2)).convert("L")
        bars.thumbnail((WIDTH - 80, room - 60))
        label = Image.new("L", (bars.width + 40, bars.height + 30), 255)
        label.paste(bars, (20, 15))
        middle = index * room + room // 2
        wall.paste(label, ((WIDTH - label.width) // 2, middle - label.height // 2))
    return wall


def png(image: Image.Image) -> bytes:
    """The picture as a file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def film(image: Image.Image, path: Path) -> None:
    """What a camera in front of ``image`` sees, as Chromium's false camera plays it."""
    grey = image.tobytes()
    colourless = bytes([128]) * (WIDTH * HEIGHT // 2)
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F20:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(head + (b"FRAME\n" + grey + colourless) * 2)
