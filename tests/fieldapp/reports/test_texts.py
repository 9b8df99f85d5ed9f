"""What people wrote comes to paper as text, in the language of who signs."""

import functools
import http.server
import io
import threading

import pikepdf
import pytest
from sqlalchemy import select

from fieldapp.models import Contact, Customer, Organisation, Site, db
from sync import catalogue
from tests import cast
from tests.fieldapp.reports.papers import (
    inside,
    newest_text,
    outcome,
    papers,
    revisions,
    text_of,
)
from tests.phones import at_desk, signature


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


def hostile(url):
    return (
        f'</td></table>{{{{ 7*7 }}}}{{% raise %}}<img src="{url}/img"><link rel=attachment '
        f'href="file:///etc/hostname"><style>@import "{url}/css"; * {{ background: url({url}/bg) }}'
        f"</style><script>fetch('{url}')</script>&amp;\u202e\x00\x1b]]>-->\u2066"
    )


def test_hostile_text_in_every_field_neither_fetches_nor_breaks(
    app, visit, erin_phone, work, listener
):
    url, heard = listener
    text = hostile(url)
    with app.app_context():
        for row in [
            *db.session.scalars(select(Customer)),
            *db.session.scalars(select(Site)),
            *db.session.scalars(select(Contact)),
            *db.session.scalars(select(Organisation)),
        ]:
            row.name = text.replace("\x00", "")[: type(row).name.type.length]
        db.session.commit()
    bodies = []
    for kind in catalogue.KINDS:
        if kind.policy == "add":
            values = [text, [text], {text: text}, None, 7]
            for value in values:
                bodies.append(
                    erin_phone.operation(
                        kind.name, visit, {field.name: value for field in kind.fields}
                    )
                )
        elif kind.policy == "set" and kind.fields and "engineer" in kind.roles:
            value = {f"{kind.name}/{field.name}": text for field in kind.fields}
            bodies.append(erin_phone.operation(kind.name, visit, value))
    assert erin_phone.push(*bodies).status_code == 200
    erin_phone.push(signature(erin_phone, visit, name=text, role=text, opinion=text, strokes=text))
    work()
    note = erin_phone.note(visit, text)
    deep = functools.reduce(lambda value, _: [value], range(97), text)
    erin_phone.push(note, erin_phone.operation("note", visit, {"text": deep}))
    erin_phone.push(erin_phone.operation("void", visit, {"entry": note["id"], "reason": text}))
    work()
    assert revisions(app, visit)[-1] >= 2
    found = papers(app, visit)[-1][1]
    assert heard == []
    assert "<script>fetch" in text_of(found)
    with pikepdf.open(io.BytesIO(found)) as document:
        assert set(document.attachments) == {"visit.json", "previous.pdf"}
    assert outcome(app, found) == "genuine"


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
