"""Each rule of the lint has a paper that breaks it, and our own papers break none."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import pikepdf
import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.stamp import TextStampStyle

from bench.paper import SEALED_AT, day_paper
from fieldapp.rendering import report_environment
from sync import glyphs, report, seal, seal_key
from sync.lint import lint

os.environ["FONTCONFIG_FILE"] = str(glyphs.FONTS_CONF)


@pytest.fixture(scope="module")
def paper() -> bytes:
    """Erin's paper before it is sealed."""
    return report.render_report(day_paper(), report_environment("zh_CN"))


def rules(pdf: bytes) -> set[str]:
    return {finding.rule for finding in lint(pdf)}


def changed(pdf: bytes, change: Callable[[pikepdf.Pdf], None], **options: Any) -> bytes:
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as document:
        change(document)
        document.save(out, **options)
    return out.getvalue()


def image_of(document: pikepdf.Pdf) -> Any:
    for one in document.objects:
        if isinstance(one, pikepdf.Stream) and one.get("/Subtype") == "/Image":
            return one
    raise AssertionError("the paper shows no photo")


def spec_of(document: pikepdf.Pdf) -> Any:
    for one in document.objects:
        if isinstance(one, pikepdf.Dictionary) and one.get("/Type") == "/Filespec":
            return one
    raise AssertionError("the paper carries no file")


def test_our_paper_breaks_no_rule(paper: bytes) -> None:
    assert lint(paper) == []


def test_our_sealed_paper_breaks_no_rule(paper: bytes) -> None:
    key = seal_key.make_key("Office", from_at=SEALED_AT)
    sealed = seal.seal(paper, key, reason="r", location="l", signed_at=SEALED_AT)
    assert lint(sealed) == []


def test_saving_again_unchanged_breaks_no_rule(paper: bytes) -> None:
    # so that the failing papers below fail for what was changed in them
    assert lint(changed(paper, lambda document: None)) == []


def test_an_interpolated_photo_is_found(paper: bytes) -> None:
    def interpolate(document: pikepdf.Pdf) -> None:
        image_of(document).Interpolate = True

    assert rules(changed(paper, interpolate)) == {"interpolate"}


def test_a_cmyk_photo_is_found(paper: bytes) -> None:
    def cmyk(document: pikepdf.Pdf) -> None:
        image_of(document).ColorSpace = pikepdf.Name.DeviceCMYK

    assert rules(changed(paper, cmyk)) == {"cmyk"}


@pytest.mark.parametrize("drawing", [b"0 0 0 1 k", b"/DeviceCMYK cs"])
def test_drawing_in_cmyk_is_found(paper: bytes, drawing: bytes) -> None:
    def cmyk(document: pikepdf.Pdf) -> None:
        document.pages[0].contents_add(drawing)

    assert rules(changed(paper, cmyk)) == {"cmyk"}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # WeasyPrint's colour profile
def test_a_character_without_a_glyph_is_found() -> None:
    from weasyprint import CSS, HTML

    document = HTML(string="<html lang=zh-CN><title>t</title><body>好\U0001f600")
    css = CSS(string='html { font-family: "Noto Sans SC" }')
    pdf = document.write_pdf(stylesheets=[css], pdf_variant="pdf/a-3b")
    assert rules(pdf) == {"notdef"}


def test_glyph_zero_written_by_hand_is_found(paper: bytes) -> None:
    def draw(document: pikepdf.Pdf) -> None:
        fonts: Any = document.pages[0].obj.Resources.Font
        name = next(iter(fonts.keys())).encode()
        document.pages[0].contents_add(b"BT " + name + b" 9 Tf <00000001> Tj ET")

    assert rules(changed(paper, draw)) == {"notdef"}


@pytest.mark.parametrize("key", ["/F", "/UF", "/AFRelationship"])
def test_an_attachment_named_by_halves_is_found(paper: bytes, key: str) -> None:
    def strip(document: pikepdf.Pdf) -> None:
        del spec_of(document)[key]

    assert rules(changed(paper, strip)) == {"attachment"}


@pytest.mark.parametrize("key", ["/Subtype", "/Params"])
def test_an_attachment_without_type_or_date_is_found(paper: bytes, key: str) -> None:
    def strip(document: pikepdf.Pdf) -> None:
        del spec_of(document).EF.F[key]

    assert rules(changed(paper, strip)) == {"attachment"}


def test_an_attachment_the_catalog_does_not_name_is_found(paper: bytes) -> None:
    def strip(document: pikepdf.Pdf) -> None:
        del document.Root.AF

    assert rules(changed(paper, strip)) == {"attachment"}


def test_a_paper_without_output_intent_is_found(paper: bytes) -> None:
    def strip(document: pikepdf.Pdf) -> None:
        del document.Root.OutputIntents

    assert rules(changed(paper, strip)) == {"output-intent"}


def test_an_output_intent_for_another_colour_space_is_found(paper: bytes) -> None:
    def grey(document: pikepdf.Pdf) -> None:
        intents: Any = document.Root.OutputIntents
        intents[0].DestOutputProfile.N = 1

    assert "output-intent" in rules(changed(paper, grey))


def test_a_paper_that_claims_another_part_is_found(paper: bytes) -> None:
    def claim(document: pikepdf.Pdf) -> None:
        with document.open_metadata() as metadata:
            metadata["pdfaid:part"] = "2"

    assert rules(changed(paper, claim)) == {"identification"}


def test_a_paper_that_claims_nothing_is_found(paper: bytes) -> None:
    def strip(document: pikepdf.Pdf) -> None:
        del document.Root.Metadata

    assert rules(changed(paper, strip)) == {"identification"}


@pytest.mark.parametrize("password", ["", "secret"])
def test_an_encrypted_paper_is_found(paper: bytes, password: str) -> None:
    encryption = pikepdf.Encryption(owner="owner", user=password)
    encrypted = changed(paper, lambda document: None, encryption=encryption)
    assert "encrypted" in rules(encrypted)


def test_a_font_that_is_not_embedded_is_found(paper: bytes) -> None:
    def strip(document: pikepdf.Pdf) -> None:
        for one in document.objects:
            if isinstance(one, pikepdf.Dictionary) and "/FontFile2" in one:
                del one["/FontFile2"]

    assert rules(changed(paper, strip)) == {"font"}


def stamped(paper: bytes, style: Any) -> bytes:
    """A seal drawn by pyHanko, as ours must not be."""
    key = seal_key.make_key("Office", from_at=SEALED_AT)
    signer = seal.ParsedKeySigner(key)
    spec = fields.SigFieldSpec("Stamp", on_page=-1, box=(20, 20, 220, 80))
    meta = signers.PdfSignatureMetadata(field_name="Stamp", md_algorithm="sha256")
    out = io.BytesIO()
    signers.PdfSigner(meta, signer=signer, stamp_style=style, new_field_spec=spec).sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(paper)), output=out
    )
    return out.getvalue()


def test_a_drawn_seal_in_a_font_of_the_reader_is_found(paper: bytes) -> None:
    assert "font" in rules(stamped(paper, TextStampStyle(stamp_text="sealed")))


def test_a_field_that_shows_nothing_where_it_should_is_found(paper: bytes) -> None:
    def strip(document: pikepdf.Pdf) -> None:
        for page in document.pages:
            for annotation in page.obj.get("/Annots", []):  # type: ignore[union-attr]
                if "/AP" in annotation:
                    del annotation["/AP"]

    stamp = stamped(paper, TextStampStyle(stamp_text="sealed"))
    assert rules(changed(stamp, strip)) == {"annotation"}


def test_a_hidden_annotation_is_found(paper: bytes) -> None:
    def hide(document: pikepdf.Pdf) -> None:
        note = pikepdf.Dictionary(
            Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.Text, Rect=[0, 0, 0, 0], F=2
        )
        document.pages[0].obj.Annots = pikepdf.Array([document.make_indirect(note)])

    assert rules(changed(paper, hide)) == {"annotation"}


@pytest.mark.parametrize("odd", [b"", b"%PDF-1.7\n", b"x" * 5000], ids=["empty", "head", "noise"])
def test_what_is_no_pdf_is_unreadable(odd: bytes) -> None:
    assert rules(odd) == {"unreadable"}


def test_a_paper_cut_in_half_passes_no_more(paper: bytes) -> None:
    assert rules(paper[: len(paper) // 2])
