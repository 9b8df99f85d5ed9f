"""The one worker file: page templates, catalogue, texts and the phone's modules in one script."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import jinja2

from fieldapp import __version__, pages
from fieldapp.display import DISPLAYS
from fieldapp.headers import PAGE_HEADERS
from fieldapp.languages import PHONE, load_messages
from fieldapp.offline.compiler import compile_templates
from fieldapp.offline.environment import shared_environment
from fieldapp.offline.messages import Messages
from fieldapp.offline.worker import join_modules
from sync import protocol
from sync.catalogue import ON_PAPER
from sync.glyphs import coverage

ENTRY = "phone/worker.js"

LATER = (
    "page/decoder.js",
    "page/mark.js",
    "page/scan.js",
    "page/serial.js",
    "vendor/uqr.js",
    "vendor/zxing-reader.js",
    "vendor/zxing-reader.wasm",
)
"""What a visit can do without for once: fetched behind the first sync, then kept like the shell."""


def build_worker(public_url: str) -> str:
    """The script of ``/sw.js``.  ``public_url`` is where customers open their pages.

    Raises TemplateRefused or ModuleRefused naming file and line of what the phone cannot run.
    """
    messages = load_messages(*PHONE)
    loader = jinja2.FileSystemLoader(pages.folder("templates"))
    environment = shared_environment(loader, messages)
    templates = compile_templates(environment, shared_templates())
    generated = {
        "phone/templates.js": templates,
        "phone/generated.js": data_module(messages, public_url),
    }
    return join_modules(pages.folder("static"), ENTRY, generated)


def shared_templates() -> list[str]:
    """The names of the templates that the phone renders too."""
    folder = pages.folder("templates") / "engineer"
    return sorted(f"engineer/{path.name}" for path in folder.glob("*.html"))


def shell_paths() -> list[str]:
    """What the engineer's pages load: kept whole on the phone before the worker takes over.

    Not the manifest and its pictures: who installs has signal, and it speaks his language.
    """
    root = pages.folder("static")
    files = [
        *sorted(path for path in root.glob("page/*.js") if f"page/{path.name}" not in LATER),
        root / "icons" / "icon.svg",
        root / "vendor" / "htmx.min.js",
        root / "app.css",
        *sorted(root.glob("display/*")),
    ]
    return [f"/static/{path.relative_to(root).as_posix()}" for path in files]


def later_files() -> dict[str, str]:
    """Paths of LATER with the SHA-256 of each: the phone keeps nothing else under these names."""
    root = pages.folder("static")
    return {
        f"/static/{name}": hashlib.sha256((root / name).read_bytes()).hexdigest() for name in LATER
    }


def data_module(messages: Mapping[str, Messages], public_url: str) -> str:
    """The module of plain data that crosses from Python to the phone."""
    values = {
        "appVersion": __version__,
        "catalogue": pages.CATALOGUE,
        "coverage": coverage(),
        "displays": DISPLAYS,
        "headers": PAGE_HEADERS,
        "later": later_files(),
        "mediaType": protocol.MEDIA_TYPE,
        "messages": messages,
        "onPaper": ON_PAPER,
        "problems": pages.PROBLEMS,
        "protocol": protocol.PROTOCOL,
        "publicUrl": public_url,
        "shell": shell_paths(),
    }
    return "".join(
        f"export const {name} = {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n"
        for name, value in values.items()
    )
