"""Photos on the paper: waited for a little, named when late, kept when nobody can see them."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from fieldapp import blobs, jobs
from fieldapp.models import Blob, db
from sync.verdict import digest_of
from tests.fieldapp.reports.papers import (
    inside,
    newest_text,
    outcome,
    papers,
    photo,
    picture,
    pictures_in,
    revisions,
    text_of,
    upload,
)
from tests.phones import flags_of, signature


def test_the_paper_waits_a_little_for_a_photo(app, visit, erin_phone, work):
    app.config["PHOTO_PATIENCE_SECONDS"] = 3600
    data = picture()
    erin_phone.push(photo(erin_phone, visit, data))
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert papers(app, visit) == []
    assert [task.args for task in app.extensions["huey"].scheduled()] == [("report", visit)]
    upload(erin_phone, data)
    work()
    assert revisions(app, visit) == [1]
    assert "Still on the phone" not in newest_text(app, visit)


def test_a_late_photo_is_named_first_and_completes_the_paper_later(app, visit, erin_phone, work):
    data = picture()
    erin_phone.push(photo(erin_phone, visit, data))
    erin_phone.push(signature(erin_phone, visit))
    work()
    ((_, first),) = papers(app, visit)
    assert "Still on the phone: follows with the next revision." in text_of(first)
    assert pictures_in(first) == 0

    upload(erin_phone, data)
    work()
    (_, (revision, second)) = papers(app, visit)
    assert revision == 2
    assert "Still on the phone" not in text_of(second)
    assert pictures_in(second) == 1
    assert inside(second, "previous.pdf") == first
    told = json.loads(inside(second))
    assert told["previous_sha256"] == digest_of(first)
    assert told["revision"] == 2
    assert (outcome(app, first), outcome(app, second)) == ("superseded", "genuine")
    work()
    assert revisions(app, visit) == [1, 2]


@pytest.mark.parametrize(
    ("data", "flag"),
    [
        (b"this is no picture", "photo.unreadable"),
        (picture((10_000, 10_000), "PNG", "1"), "photo.too-many-pixels"),
    ],
    ids=["no picture", "100 megapixels"],
)
def test_a_photo_nobody_can_show_is_kept_flagged_and_named(
    app, visit, erin_phone, work, data, flag
):
    erin_phone.push(photo(erin_phone, visit, data, "the cellar"))
    upload(erin_phone, data)
    work()
    assert flag in flags_of(app, visit)
    erin_phone.push(signature(erin_phone, visit))
    work()
    text = newest_text(app, visit)
    assert "the cellar" in text
    assert "Cannot be shown: the file is kept as evidence." in text
    with app.app_context():
        kept = blobs.read(erin_phone.person.org_id, hashlib.sha256(data).hexdigest())
    assert kept == data


def test_a_photo_whose_own_job_was_lost_does_not_stop_the_paper(app, visit, erin_phone, work):
    good, bad = picture(), b"this is no picture"
    erin_phone.push(photo(erin_phone, visit, good), photo(erin_phone, visit, bad, "the cellar"))
    upload(erin_phone, good)
    upload(erin_phone, bad)
    app.extensions["huey"].storage.flush_queue()
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert revisions(app, visit) == [1]
    assert pictures_in(papers(app, visit)[0][1]) == 1
    assert "Cannot be shown" in newest_text(app, visit)
    assert "photo.unreadable" in flags_of(app, visit)


def test_a_photo_that_storage_lost_does_not_stop_the_paper(app, visit, erin_phone, work):
    name = "ab" * 32
    erin_phone.push(erin_phone.operation("photo", visit, {"sha256": name}))
    with app.app_context():
        now = datetime.now(UTC)
        db.session.add(
            Blob(org_id=erin_phone.person.org_id, sha256=name, size=9, received=9, complete_at=now)
        )
        db.session.commit()
    erin_phone.push(signature(erin_phone, visit))
    work()
    assert revisions(app, visit) == [1]


def test_a_photo_that_came_while_nobody_worked_is_found_too(app, visit, erin_phone, work):
    data = picture()
    erin_phone.push(photo(erin_phone, visit, data))
    erin_phone.push(signature(erin_phone, visit))
    work()
    upload(erin_phone, data)
    app.extensions["huey"].storage.flush_queue()
    with app.app_context():
        jobs.enqueue("due", "")
    work()
    assert revisions(app, visit) == [1, 2]
    assert pictures_in(papers(app, visit)[-1][1]) == 1
