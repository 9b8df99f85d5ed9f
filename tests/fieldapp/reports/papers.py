"""The papers of a visit as the office keeps them, and what a phone does to get one."""

import hashlib
import io
import subprocess

import pikepdf
from PIL import Image
from sqlalchemy import select

from fieldapp import reports
from fieldapp.models import Report, Visit, db
from fieldapp.verify import verdict_of
from sync.papers import DISPATCH_ORDER
from sync.verdict import digest_of

REFUSAL = {"reason": "disputes", "text": "it was dead before", "witness_name": "Mo Lin"}


def papers(app, visit_id, name=DISPATCH_ORDER):
    """(revision, PDF) of every paper of a name; what is kept is what is registered."""
    with app.app_context():
        found = []
        of_visit = (Report.visit_id == visit_id, Report.name == name)
        for row in db.session.scalars(select(Report).where(*of_visit).order_by(Report.revision)):
            pdf = reports.read_paper(row)
            assert digest_of(pdf) == row.sha256
            found.append((row.revision, pdf))
        return found


def revisions(app, visit_id):
    return [revision for revision, _ in papers(app, visit_id)]


def row_of(app, visit_id):
    """The newest registered revision."""
    with app.app_context():
        rows = select(Report).where(Report.visit_id == visit_id).order_by(Report.revision.desc())
        return db.session.scalars(rows).first()


def make(app, visit_id):
    """What the job does, asked for by hand."""
    with app.app_context():
        return reports.make_report(visit_id)


def text_of(pdf):
    done = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True
    )
    return " ".join(done.stdout.decode().split())


def newest_text(app, visit_id):
    return text_of(papers(app, visit_id)[-1][1])


def inside(pdf, name="visit.json"):
    """A file attached to the paper."""
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return document.attachments[name].get_file().read_bytes()


def pictures_in(pdf):
    with pikepdf.open(io.BytesIO(pdf)) as document:
        return len(
            {image.objgen for page in document.pages for image in page.get_images().values()}
        )


def outcome(app, pdf):
    with app.app_context():
        return verdict_of(pdf).outcome


def measure(phone, visit_id, text="replaced the power board", **more):
    value = {"text": text, "completed_at": "2026-03-10T03:20:00Z"}
    return phone.operation("measure", visit_id, value, **more)


def noted(phone, visit_id):
    phone.push(phone.note(visit_id, "the siren is loose"))
    return "the siren is loose"


def photo(phone, visit_id, data, caption="the board"):
    name = hashlib.sha256(data).hexdigest()
    return phone.operation("photo", visit_id, {"sha256": name, "caption": caption})


def picture(size=(64, 48), kind="JPEG", mode="RGB"):
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return out.getvalue()


def upload(phone, data):
    response = phone.wire.put(
        f"/sync/blobs/{hashlib.sha256(data).hexdigest()}",
        data=data,
        headers=phone.headers
        | {
            "Content-Type": "application/octet-stream",
            "Upload-Offset": "0",
            "Upload-Length": str(len(data)),
        },
    )
    assert response.json["complete"], response.text


def withdraw(phone, visit_id, reason="the wrong person signed"):
    with phone.app.app_context():
        entry = db.session.get_one(Visit, visit_id).state["signatures"][-1]
    phone.push(phone.operation("void", visit_id, {"entry": entry["id"], "reason": reason}))


def entry_of(phone, visit_id, kind):
    with phone.app.app_context():
        entries = db.session.get_one(Visit, visit_id).state["entries"]
    return next(entry["id"] for entry in entries if entry["kind"] == kind)
