"""What people wrote comes to paper as text, in the language of who signs."""

import contextlib
import functools
import http.server
import io
import multiprocessing
import re
import threading
from pathlib import Path

import pikepdf
import pytest
from sqlalchemy import select

from fieldapp.models import Asset, Contact, Customer, Organisation, Person, Site, db
from fieldapp.policies import Policy, load_policy
from fieldapp.rendering import RenderPool
from sync import catalogue
from sync.lint import lint
from sync.papers import PAPERS
from tests import cast
from tests.fieldapp.reports.papers import (
    inside,
    newest_text,
    outcome,
    papers,
    revisions,
    text_of,
)
from tests.hostile import LONE, SECRETS, hostile, joined
from tests.phones import at_desk, signature

pytestmark = pytest.mark.usefixtures("sqlite")  # a paper is laid out alike, whatever the database


def test_an_emoji_does_not_stop_the_paper(app, visit, erin_phone, work):
    erin_phone.push(erin_phone.note(visit, "all well \U0001f600"))
    erin_phone.push(signature(erin_phone, visit))
    work()
    ((_, pdf),) = papers(app, visit)
    assert "all well [U+1F600]" in text_of(pdf)
    assert "all well \U0001f600" in inside(pdf).decode()


@pytest.fixture
def listener():
    """Somebody who would notice if a paper asked him for anything: ``(url, requests)``."""
    heard = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
        server.shutdown()
        thread.join()


NAMES = {
    Organisation: ("name", "address", "phone"),
    Customer: ("name",),
    Site: ("name", "address", "access_text"),
    Contact: ("name", "phone", "role_text"),
    Asset: ("name", "model", "serial"),
    Person: ("name",),
}
"""What the office's own rows bring to paper."""


def fill_rows(texts):
    """Let every name of the office be hostile, as far as its column goes."""
    for model, columns in NAMES.items():
        for row in db.session.scalars(select(model)):
            for number, column in enumerate(columns, len(model.__name__)):
                text = joined(texts, number).replace("\x00", "")
                setattr(row, column, text[: model.__table__.c[column].type.length])
    db.session.commit()


def said_everywhere(phone, visit, texts):
    """An operation of every kind with a hostile text in each of its fields, and wrong types."""
    for number, kind in enumerate(catalogue.KINDS):
        said = {
            field.name: joined(texts, number + place) for place, field in enumerate(kind.fields)
        }
        if kind.policy == "add":
            yield phone.operation(kind.name, visit, said)
            for wrong in (["<b>"], {"<b>": "<i>"}, None, 7):
                yield phone.operation(kind.name, visit, dict.fromkeys(said, wrong))
        elif kind.policy == "set" and kind.fields and "engineer" in kind.roles:
            if kind.name == "diagnosis":
                said["text"] = texts["long"]
            paths = {f"{kind.name}/{name}": text for name, text in said.items()}
            yield phone.operation(kind.name, visit, paths)


def streams_of(pdf):
    """Every stream of a PDF as it reads unpacked, but those of its attachments."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        apart = {each.get_file().obj.objgen for each in document.attachments.values()}
        for thing in document.objects:
            if isinstance(thing, pikepdf.Stream) and thing.objgen not in apart:
                with contextlib.suppress(pikepdf.PdfError):  # pictures stay packed
                    yield thing.read_bytes()


@pytest.fixture
def own_pool(app):
    """A process that nobody else uses, so that it is seen to live."""
    with RenderPool(1, seconds=120) as pool:
        app.extensions["render_pool"] = pool
        yield


def test_hostile_text_in_every_field_of_every_paper_stays_text(
    app, visit, erin_phone, work, listener, monkeypatch, own_pool
):
    """Nothing is fetched, nothing leaks, and every paper is made; the process lives."""
    others = set(multiprocessing.active_children())
    url, heard = listener
    texts = hostile(url)
    every = joined(texts)
    names = [paper.name for paper in PAPERS]
    words = load_policy("alarm").vocabulary
    words = {
        list_: {key: {"zh": every, "en": every} for key in keys} for list_, keys in words.items()
    }
    monkeypatch.setattr(Policy, "papers", lambda *_: names)
    erin_phone.push(signature(erin_phone, visit))
    work()
    (process,) = set(multiprocessing.active_children()) - others
    monkeypatch.setattr(Policy, "vocabulary", words)
    with app.app_context():
        fill_rows(texts)
    assert erin_phone.push(*said_everywhere(erin_phone, visit, texts)).status_code == 200
    pen = dict.fromkeys(("name", "role", "opinion", "strokes"), every)
    erin_phone.push(signature(erin_phone, visit, **pen))
    note = erin_phone.note(visit, every)
    deep = functools.reduce(lambda value, _: [value], range(97), every)
    erin_phone.push(note, erin_phone.operation("note", visit, {"text": deep}))
    erin_phone.push(erin_phone.operation("void", visit, {"entry": note["id"], "reason": every}))
    work()
    assert heard == []
    for name in names:
        pdf = papers(app, visit, name)[-1][1]
        assert list(lint(pdf)) == []
        assert outcome(app, pdf) == "genuine"
        with pikepdf.open(io.BytesIO(pdf)) as document:
            assert {"visit.json"} <= set(document.attachments) <= {"visit.json", "previous.pdf"}
            assert "/URI" not in str(document.Root)
        unpacked = b"".join(streams_of(pdf))
        printed = text_of(pdf)
        for path in SECRETS:
            for line in secret_lines(path):
                assert line not in unpacked
                assert line.decode(errors="replace") not in printed
        assert "{{ 7*7 }}" in printed
        assert "<script>fetch" in printed.replace(" ", "")
        assert "[U+1F600]" in printed
        assert "应付00.086¥整" in printed.replace(" ", "")
    assert set(multiprocessing.active_children()) - others == {process}


def test_halves_of_characters_are_kept_and_stop_no_paper(app, visit, erin_phone, work):
    """No phone's form lets them pass; what comes all the same is told and not printed."""
    odd = erin_phone.note(visit, "half") | {"value": {"text": LONE}}
    ((state, reasons),) = erin_phone.receipts(odd)
    assert (state, reasons) == ("opaque", ["operation.malformed"])
    erin_phone.push(erin_phone.note(visit, "whole"))
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert "whole" in newest_text(app, visit)
    assert "half" not in newest_text(app, visit)


def secret_lines(path):
    """Lines of a file that are long enough to be known again."""
    data = Path(path).read_bytes()
    found = [line for line in re.split(rb"[\n\0]", data) if len(line) >= 8]
    return [each for each in found if b"127.0.0.1" not in each]


def test_a_signature_of_wrong_types_is_printed_without_them(app, visit, erin_phone, work):
    wrong = {"name": None, "role": [1], "opinion": {"a": 1}, "strokes": {"x": 1}, "language": [1]}
    body = signature(erin_phone, visit)
    erin_phone.push(erin_phone.operation("signature", visit, body["value"] | wrong))
    work()
    assert revisions(app, visit) == [1]
    assert "None" not in newest_text(app, visit)


@pytest.mark.parametrize(
    ("name", "title", "said"),
    [
        ("王丽", "故障处理派工单", "李强更换了电源板"),
        ("Cleo Ash", "Fault dispatch order", "it beeps"),
    ],
)
def test_the_paper_speaks_the_contacts_language(
    app, organisation, dana, erin, erin_phone, work, name, title, said
):
    with app.app_context():
        place = cast.make_place(db.session.get_one(Organisation, organisation), "C7", name)
        visit_id = str(cast.make_visit(place, "PG-7").id)
        db.session.commit()
    at_desk(app, dana, visit_id, ("assignment", {"engineer": erin.id}))
    erin_phone.push(erin_phone.note(visit_id, said))
    erin_phone.push(signature(erin_phone, visit_id, name=name))
    work()
    text = newest_text(app, visit_id)
    assert title in text
    assert said in text
    assert name in text
