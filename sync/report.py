"""The paper of a visit: signed snapshot -> HTML -> PDF/A-3b with ``visit.json`` inside.

Everything printed comes in as one :class:`Paper`.  The same paper gives the same bytes, in every
process and on every machine, as long as ``FONTCONFIG_FILE`` is ``sync.glyphs.FONTS_CONF`` before
the first paper is made (the one thing that cannot be an argument: fontconfig reads it from the
environment).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

import jinja2
import rfc8785
import segno
from PIL import Image

from sync import strokes
from sync.glyphs import FAMILIES
from sync.paper_view import PaperView
from sync.papers import paper_named
from sync.problems import Problem

if TYPE_CHECKING:
    from weasyprint import CSS, Document
    from weasyprint.text.fonts import FontConfiguration

VARIANT = "pdf/a-3b"
STYLES = "report/paper.css"


class PhotoOfPaper(TypedDict):
    """``jpeg`` is the print copy of sync.photos, present when ``state`` is ``shown``."""

    state: Literal["shown", "to-come", "unreadable"]
    jpeg: NotRequired[bytes]


class Paper(TypedDict):
    """All that one paper of a revision prints and carries.

    ``name`` is that of ``sync.papers``.
    Times are ISO 8601 UTC with seconds.  ``snapshot`` is what the customer signed: ``facts``
    (``visit``, ``fields`` of ``{path, values}`` where several values are a conflict, ``entries`` of
    ``{id, kind, author, wall_at, value}``) and ``context``, the read-only block of the visit.
    ``signatures`` are ``{name, role, opinion, strokes, wall_at, digest, verdict, covers}`` in the
    order in which they were given, but the one that makes the paper last.  ``covers`` is ``same``
    when it stands on the same facts, else ``earlier`` or ``later``.  ``by`` is ``link`` where
    somebody signed on a device of his own; ``witness_name`` and ``witness_role`` are there where
    somebody could not draw and a witness saw him agree.
    ``refusal`` the value of a refusal or None (it also stands among the entries).
    ``corrected`` are ``{entry, wall_at, corrected_at}``, added by the office.
    ``addenda`` are entries that came after the signature, with ``at``, their corrected time.
    ``photos`` are keyed by the SHA-256 of the original.  ``words`` are the policy's words:
    list -> key -> ``{zh, en}``.  ``notices`` are numbers of loaner notices by entry id.
    ``given`` are ``{id, number, request}`` of a work order that the visit got after the signature.
    ``organisation`` is ``{name, phone, address, logo}``; ``logo`` is a JPEG or None.
    ``previous_pdf`` is the sealed earlier revision; it goes along as an attachment.
    """

    name: str
    language: Literal["zh_CN", "en", "both"]
    revision: int
    previous_sha256: str | None
    previous_pdf: bytes | None
    token: str
    verify_url: str
    sealed_at: str
    organisation: dict[str, Any]
    snapshot: dict[str, Any]
    signatures: list[dict[str, Any]]
    refusal: dict[str, Any] | None
    corrected: list[dict[str, Any]]
    addenda: list[dict[str, Any]]
    photos: dict[str, PhotoOfPaper]
    words: dict[str, dict[str, dict[str, str]]]
    notices: dict[str, str | None]
    given: NotRequired[dict[str, str | None]]


def make_environment(
    loader: jinja2.BaseLoader,
    gettext: Callable[[str], str],
    ngettext: Callable[[str, str, int], str],
    *,
    clock: Callable[[str, Any], str],
    moment: Callable[[str, Any], str],
    day: Callable[[str, Any], str],
    money: Callable[[int, str], str],
) -> jinja2.Environment:
    """The templates of the papers in one language, or in both.

    ``clock``, ``moment`` and ``day`` turn an ISO UTC time and a zone's offsets
    ``[[from_utc, minutes], …]`` into text at the site, ``money`` minor units and a currency.
    """
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        gettext, ngettext, newstyle=True
    )
    # what _() is given becomes HTML: it is for literal text, and this for a word that was handed in
    environment.globals["say"] = gettext
    environment.filters.update(clock=clock, moment=moment, day=day, money=money)
    return environment


def render_report(
    paper: Paper, environment: jinja2.Environment, *, replace_missing: bool = False
) -> bytes:
    """The unsealed PDF/A-3b of ``paper``, with ``visit.json`` (and the earlier revision) attached.

    ``environment`` comes from :func:`make_environment` for the paper's language.  With
    ``replace_missing`` a character without a glyph is printed as its number, ``[U+1F600]``;
    without, it raises Problem("report.missing-glyph").
    Raises Problem("report.fetch-denied") when anything but our own pictures was asked for, and
    Problem("report.failed") when a font of the machine crept in or the data are no canonical JSON.
    """
    data = visit_json(paper)
    pictures = _pictures(paper)
    html = _html(paper, environment, _view(paper, environment, pictures, replace_missing))
    return _pdf(html, _styles(environment), pictures, paper, data)


def render_plain(paper: Paper, environment: jinja2.Environment) -> bytes:
    """The same page as a plain PDF without data: what the renderer alone costs, for measuring."""
    pictures = _pictures(paper)
    html = _html(paper, environment, _view(paper, environment, pictures, False))
    return _document(html, _styles(environment), _picture_fetcher(pictures), None).write_pdf()  # type: ignore[no-any-return]


def _view(
    paper: Paper,
    environment: jinja2.Environment,
    pictures: Mapping[str, Any],
    replace_missing: bool,
) -> PaperView:
    return PaperView(paper, set(pictures), replace_missing, environment.filters["money"])


def _html(paper: Paper, environment: jinja2.Environment, view: PaperView) -> str:
    kind = paper_named(paper["name"])
    return environment.get_template(kind.template).render(view=view, paper=paper, title=kind.title)


def visit_json(paper: Paper) -> bytes:
    """The data inside the paper, as RFC 8785 canonical JSON: what was signed, unabridged."""
    order = paper.get("given") or paper["snapshot"]["context"]["work_order"]
    try:
        return rfc8785.dumps(
            {
                "token": paper["token"],
                "work_order": {"id": order["id"], "number": order["number"]},
                "revision": paper["revision"],
                "snapshot": paper["snapshot"],
                "signatures": paper["signatures"],
                "addenda": paper["addenda"],
                "corrected": paper["corrected"],
                "previous_sha256": paper["previous_sha256"],
            }
        )
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as cause:
        raise Problem("report.failed", reason="visit.json") from cause


# pictures and PDF


def _pictures(paper: Paper) -> dict[str, tuple[str, bytes]]:
    """Name -> (MIME type, bytes) of every picture the template may show."""
    pictures = {"qr": ("image/svg+xml", _qr(paper["verify_url"]))}
    logo = paper["organisation"]["logo"]
    if logo and _is_jpeg(logo):
        pictures["logo"] = ("image/jpeg", logo)
    for number, signature in enumerate(paper["signatures"]):
        # signed all the same: the paper says that the drawing cannot be shown
        with contextlib.suppress(Problem):
            ink = strokes.drawing(signature["strokes"])
            pictures[f"signature-{number}"] = ("image/svg+xml", ink)
    for entry in paper["snapshot"]["facts"]["entries"]:
        if entry["kind"] == "consent" and _ID.fullmatch(entry["id"]):
            with contextlib.suppress(Problem, AttributeError):  # a value of any type may come
                ink = strokes.drawing(entry["value"].get("strokes"))
                pictures[f"ink-{entry['id']}"] = ("image/svg+xml", ink)
    for sha256, photo in paper["photos"].items():
        jpeg = photo.get("jpeg")
        if photo["state"] == "shown" and jpeg and _is_jpeg(jpeg) and _HASH.fullmatch(sha256):
            pictures[f"photo-{sha256}"] = ("image/jpeg", jpeg)
    return pictures


_HASH = re.compile("[0-9a-f]{64}")
_ID = re.compile("[0-9a-f-]{36}")


def _is_jpeg(data: bytes) -> bool:
    # the renderer would leave a broken picture out and only write a log line
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)):
            return True
    except Exception:
        return False


def _qr(text: str) -> bytes:
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=True, border=2, omitsize=True
    )
    return out.getvalue()


@functools.cache
def _font_configuration() -> FontConfiguration:
    from weasyprint.text.fonts import FontConfiguration

    return FontConfiguration()


@functools.lru_cache(maxsize=4)
def _parsed(css: str) -> CSS:
    from weasyprint import CSS

    return CSS(string=css, font_config=_font_configuration())


def _styles(environment: jinja2.Environment) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, STYLES)[0]


def _picture_fetcher(pictures: Mapping[str, tuple[str, bytes]]) -> Any:
    # imported here: it loads Pango and fontconfig, which look at the environment only once
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    class OnlyPictures(URLFetcher):  # type: ignore[misc]
        """Hands out our own pictures; everything else is denied and remembered."""

        def __init__(self) -> None:
            super().__init__(allowed_protocols=(), allow_redirects=False)
            self.denied: list[str] = []

        def fetch(self, url: str, headers: Any = None) -> Any:
            if url.startswith("picture:") and url[8:] in pictures:
                mime, body = pictures[url[8:]]
                return URLFetcherResponse(url, body, {"Content-Type": mime})
            self.denied.append(url[:200])
            raise ValueError("the paper shows its own pictures only")

    return OnlyPictures()


def _document(html: str, css: str, fetcher: Any, variant: str | None) -> Document:
    from weasyprint import HTML

    return HTML(string=html, url_fetcher=fetcher, media_type="print").render(
        font_config=_font_configuration(), stylesheets=[_parsed(css)], pdf_variant=variant
    )


def _attachments(paper: Paper, data: bytes) -> list[Any]:
    from weasyprint import Attachment

    files = [("visit.json", "work order, as signed", "Data", data)]
    if paper["previous_pdf"]:
        earlier = ("previous.pdf", "earlier revision, sealed", "Supplement", paper["previous_pdf"])
        files.append(earlier)
    # the same times for every attachment, or the bytes would differ from run to run
    at = dt.datetime.fromisoformat(paper["sealed_at"])
    return [
        Attachment(
            string=content,
            name=name,
            description=description,
            relationship=relationship,
            created=at,
            modified=at,
        )
        for name, description, relationship, content in files
    ]


def _pdf(
    html: str, css: str, pictures: Mapping[str, tuple[str, bytes]], paper: Paper, data: bytes
) -> bytes:
    fetcher = _picture_fetcher(pictures)
    document = _document(html, css, fetcher, VARIANT)
    with warnings.catch_warnings():
        # WeasyPrint 70 leaves the file of its colour profile to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        pdf: bytes = document.write_pdf(pdf_variant=VARIANT, attachments=_attachments(paper, data))
    if fetcher.denied:
        raise Problem("report.fetch-denied", url=fetcher.denied[0])
    missing = {point for font in document.fonts.values() for point in font.missing}
    if missing:
        raise Problem("report.missing-glyph", characters=" ".join(map(_named, sorted(missing))))
    foreign = [font.family for font in document.fonts.values() if font.family not in FAMILIES]
    if foreign:
        # another font means other bytes elsewhere, or a CID-keyed one that some readers show blank
        raise Problem("report.failed", reason=f"font {foreign[0]}")
    return pdf


def _named(point: int) -> str:
    return f"{chr(point)} (U+{point:04X})"
