"""A copy goes to the customer by e-mail, over a real mail server; what stands in its way is said."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from sqlalchemy import select, update

from fieldapp import jobs, mail, postman
from fieldapp.config import WrongSetting, read_settings
from fieldapp.models import Contact, Mail, Organisation, Report, db
from fieldapp.policies import load_policy
from sync.canonical import canonical
from sync.verdict import digest_of
from tests.mailbox import HOST, PASSWORD, USER, Mailbox, free_port, listening, make_certificate
from tests.phones import PAGE, signature

SENDER = "papers@brook.example"
CLEO = "cleo@customer.example"
ANOTHER = "office@customer.example"
CONTACT = {"name": "Cleo Ash", "phone": "138-0000-0001", "role_text": "Property", "language": "en"}
CONTACT |= {"was": canonical(CONTACT | {"email": ""})}
"""What the form of Cleo's name and telephone posts."""

NOT_ADDRESSES = [
    "",
    "cleo",
    "cleo@",
    "@customer.example",
    "cleo@localhost",
    "cleo@customer.example, eve@elsewhere.example",
    "Cleo <cleo@customer.example>",
    "cleo@customer.example\r\nBcc: eve@elsewhere.example",
    "cleo\n@customer.example",
    '"a b"@customer.example',
    "a..b@customer.example",
    "a@b..example",
    "a@-b.example",
    "cleo@客户.example",
    "x" * 250 + "@customer.example",
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def office(sealing, certificate):
    """Papers are sealed here, and go by a server that this certificate vouches for."""
    sealing.config.update(MAIL_FROM=SENDER, SMTP_CERTIFICATES=str(certificate[0]))


@pytest.fixture
def mailbox(app, certificate):
    """The mail server of the office: it asks for STARTTLS, a name and a password."""
    box = Mailbox()
    with listening(box, certificate, signs_in=True) as port:
        app.config["SMTP_URL"] = url(port)
        yield box


def url(port, scheme="smtp", user=USER, password=PASSWORD):
    who = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{scheme}://{who}{HOST}:{port}"


def work(app):
    """Every job that waits now."""
    with app.app_context():
        return jobs.perform_waiting()


def reach(app, address=CLEO, **values):
    """Cleo has an address."""
    with app.app_context():
        db.session.execute(update(Contact).values(email=address, **values))
        db.session.commit()


def seal(app, phone, visit):
    """Cleo signs, and all that follows is done; the token of her work order."""
    body = signature(phone, visit)
    phone.push(body)
    work(app)
    work(app)
    return body["value"]["token"]


def letters_of(app):
    """(state, problem, reason, tries) of every letter, in their order."""
    with app.app_context():
        rows = db.session.scalars(select(Mail).order_by(Mail.asked_at, Mail.id)).all()
        return [(row.state, row.problem, row.reason_text, row.tries) for row in rows]


def only_letter(app):
    with app.app_context():
        return db.session.scalars(select(Mail.id)).one()


def desk_page(client, visit):
    return " ".join(client.get(f"/desk/visits/{visit}").text.split())


def ask(client, visit, address, status=303):
    answer = client.post(f"/desk/visits/{visit}/mails", data={"address": address}, headers=PAGE)
    assert answer.status_code == status, answer.text
    return " ".join(answer.text.split())


def try_again(app, times=1):
    """The letter's next tries, each when it is due; the seconds between them."""
    waits, id_ = [], only_letter(app)
    for _ in range(times):
        with app.app_context():
            row = db.session.get_one(Mail, id_)
            due_at, before = row.next_at, row.tries
            postman.send_mail(id_, due_at - timedelta(seconds=1))
            assert db.session.get_one(Mail, id_, populate_existing=True).tries == before
            postman.send_mail(id_, due_at)
            row = db.session.get_one(Mail, id_, populate_existing=True)
            waits.append(int((row.next_at - due_at).total_seconds()))
    return waits


# The letter


def test_what_was_sealed_goes_to_the_contact(app, mailbox, visit, erin_phone):
    reach(app)
    token = seal(app, erin_phone, visit)
    ((sender, recipients, letter),) = mailbox.letters
    assert (sender, recipients) == (SENDER, [CLEO])
    assert mailbox.was_safe == [True]
    assert letter["Subject"] == "Work order PG-1, revision 1"
    assert letter["From"] == f"Brook Alarms <{SENDER}>"
    assert letter["To"] == CLEO
    assert letter["Auto-Submitted"] == "auto-generated"
    text = letter.get_body(("plain",)).get_content().replace("\r\n", "\n")
    for told in ("Customer C1", "Main hall", "021-5550-0100", f"/verify/{token}\n"):
        assert told in text, told
    assert "takes the place" not in text
    with app.app_context():
        sealed = [row.sha256 for row in db.session.scalars(select(Report).order_by(Report.id))]
    attached = list(letter.iter_attachments())
    assert [digest_of(part.get_content()) for part in attached] == sealed
    assert [part.get_content_type() for part in attached] == ["application/pdf"] * len(sealed)
    assert attached[0].get_filename() == "PG-1-1-dispatch-order.pdf"
    assert letters_of(app) == [("sent", "", "", 1)]


def test_the_letter_speaks_the_contacts_language(app, mailbox, visit, erin_phone):
    reach(app, language="zh_CN")
    seal(app, erin_phone, visit)
    letter = mailbox.letters[0][2]
    assert letter["Subject"] == "工单 PG-1（第 1 版）"
    assert letter.get_body(("plain",)).get_content().startswith("尊敬的客户：")


def test_a_later_revision_says_that_it_replaces(app, mailbox, visit, erin_phone):
    reach(app)
    seal(app, erin_phone, visit)
    erin_phone.push(erin_phone.note(visit, "the siren is loose"))
    work(app)
    work(app)
    assert len(mailbox.letters) == 2
    letter = mailbox.letters[1][2]
    assert letter["Subject"] == "Work order PG-1, revision 2"
    text = letter.get_body(("plain",)).get_content()
    assert "This is revision 2; it takes the place of those before it." in text


def test_a_name_that_breaks_a_line_breaks_no_header(app, mailbox, visit, erin_phone):
    reach(app)
    with app.app_context():
        name = "Brook\r\nBcc: eve@elsewhere.example\r\n\r\nbuy"
        db.session.execute(update(Organisation).values(name=name))
        db.session.commit()
    seal(app, erin_phone, visit)
    ((_, recipients, letter),) = mailbox.letters
    assert recipients == [CLEO]
    assert letter["Bcc"] is None
    assert letter["From"].addresses[0].display_name == "Brook Bcc: eve@elsewhere.example buy"


# When none goes by itself


def test_without_an_address_nothing_goes_by_itself(
    app, mailbox, visit, erin_phone, dana, client_of
):
    seal(app, erin_phone, visit)
    assert (mailbox.letters, letters_of(app)) == ([], [])
    assert "None was sent." in desk_page(client_of(dana), visit)


def test_an_address_from_long_ago_that_is_none_gets_nothing(app, mailbox, visit, erin_phone):
    reach(app, "cleo@customer.example\r\nBcc: eve@elsewhere.example")
    seal(app, erin_phone, visit)
    assert (mailbox.letters, letters_of(app)) == ([], [])


def test_nothing_goes_where_the_policy_does_not_say_so(
    app, mailbox, visit, erin_phone, monkeypatch
):
    data = dict(load_policy("alarm").data)
    quiet = type(
        "Policy", (), {"data": data | {"customer": {"page_days": 1, "sends_copies": False}}}
    )
    monkeypatch.setattr(mail, "load_policy", lambda _: quiet)
    reach(app)
    seal(app, erin_phone, visit)
    assert (mailbox.letters, letters_of(app)) == ([], [])


def test_without_a_mail_server_the_desk_says_so(app, visit, erin_phone, dana, client_of):
    reach(app)
    seal(app, erin_phone, visit)
    assert letters_of(app) == []
    assert "This installation sends no e-mail." in desk_page(client_of(dana), visit)
    assert "This installation sends no e-mail." in ask(client_of(dana), visit, CLEO, 409)


# At the desk


def test_the_desk_sees_what_went_and_sends_it_elsewhere(
    app, mailbox, visit, erin_phone, dana, client_of
):
    reach(app)
    seal(app, erin_phone, visit)
    desk = client_of(dana)
    text = desk_page(desk, visit)
    assert f'<strong>{CLEO}</strong> <span class="chip chip-good">Sent</span>' in text
    assert "by itself" in text
    ask(desk, visit, f" {ANOTHER} ")
    assert ">On its way</span>" in desk_page(desk, visit)
    work(app)
    assert [recipients for _, recipients, _ in mailbox.letters] == [[CLEO], [ANOTHER]]
    text = desk_page(desk, visit)
    assert text.index(ANOTHER) < text.index(CLEO)
    assert "Dana Roy" in text[text.index(ANOTHER) :]
    assert f'value="{ANOTHER}"' in text  # what was used last is offered again


@pytest.mark.parametrize("address", NOT_ADDRESSES)
def test_what_is_no_address_gets_no_letter(
    app, mailbox, visit, erin_phone, dana, client_of, address
):
    seal(app, erin_phone, visit)
    text = ask(client_of(dana), visit, address, 422)
    assert "That is no e-mail address." in text
    assert (mailbox.letters, letters_of(app)) == ([], [])
    with app.app_context():
        contact_id = db.session.scalars(select(Contact.id)).first()
    form = CONTACT | {"email": address}
    answer = client_of(dana).post(f"/desk/contacts/{contact_id}", data=form, headers=PAGE)
    assert answer.status_code == (422 if address else 303)


def test_the_contact_is_given_an_address_at_the_desk(app, visit, dana, client_of):
    with app.app_context():
        contact_id = db.session.scalars(select(Contact.id)).first()
    form = CONTACT | {"email": CLEO}
    client_of(dana).post(f"/desk/contacts/{contact_id}", data=form, headers=PAGE)
    with app.app_context():
        assert db.session.get_one(Contact, contact_id).email == CLEO


def test_before_there_is_a_paper_there_is_nothing_to_send(app, mailbox, visit, dana, client_of):
    assert "There is no such work order document." in ask(client_of(dana), visit, CLEO, 404)
    assert "Copies by e-mail" not in desk_page(client_of(dana), visit)


def test_another_organisation_and_the_field_send_nothing(
    app, mailbox, visit, erin_phone, erin, olly, client_of
):
    seal(app, erin_phone, visit)
    ask(client_of(olly), visit, "olly@elsewhere.example", 404)
    ask(client_of(erin), visit, "erin@elsewhere.example", 403)
    assert letters_of(app) == []


# What stands in the way


def test_a_refused_recipient_has_failed_at_once(app, mailbox, visit, erin_phone, dana, client_of):
    mailbox.refusals[CLEO] = "550 5.1.1 no such mailbox"
    reach(app)
    seal(app, erin_phone, visit)
    assert letters_of(app) == [("failed", "mail.refused", "550 5.1.1 no such mailbox", 1)]
    text = desk_page(client_of(dana), visit)
    assert ">Not sent</span>" in text
    assert "The mail server refused the letter: 550 5.1.1 no such mailbox" in text


def test_what_the_server_says_is_text(app, mailbox, visit, erin_phone, dana, client_of):
    mailbox.refusals[CLEO] = "550 <script>alert(1)</script>" + "x" * 400
    reach(app)
    seal(app, erin_phone, visit)
    text = desk_page(client_of(dana), visit)
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


def test_a_letter_that_is_put_off_is_tried_again(app, mailbox, visit, erin_phone, dana, client_of):
    mailbox.refusals[CLEO] = "451 4.7.1 greylisted, come again"
    reach(app)
    seal(app, erin_phone, visit)
    assert letters_of(app) == [("waiting", "mail.busy", "451 4.7.1 greylisted, come again", 1)]
    assert "Tried again " in desk_page(client_of(dana), visit)
    (task,) = app.extensions["huey"].scheduled()
    assert task.args == ("mail", only_letter(app))
    mailbox.refusals.clear()
    try_again(app)
    assert letters_of(app) == [("sent", "", "", 2)]
    assert "greylisted" not in desk_page(client_of(dana), visit)


def test_a_letter_refused_as_a_whole_has_failed(app, mailbox, visit, erin_phone):
    mailbox.after_data = "552 5.3.4 too large"
    reach(app)
    seal(app, erin_phone, visit)
    assert letters_of(app) == [("failed", "mail.refused", "552 5.3.4 too large", 1)]


def test_a_server_that_is_down_is_asked_again_ever_more_rarely_and_then_no_more(
    app, visit, erin_phone, dana, client_of, certificate
):
    port = free_port()
    app.config["SMTP_URL"] = url(port)
    reach(app)
    seal(app, erin_phone, visit)
    ((state, problem, reason, tries),) = letters_of(app)
    assert (state, problem, tries) == ("waiting", "mail.no-server", 1)
    assert "refused" in reason
    waits = try_again(app, 4)
    assert waits == sorted(set(waits))
    assert letters_of(app)[0][0] == "waiting"
    try_again(app)
    assert letters_of(app) == [("failed", "mail.no-server", reason, 6)]
    assert "The mail server did not answer" in desk_page(client_of(dana), visit)
    box = Mailbox()
    with listening(box, certificate, port=port, signs_in=True):
        work(app)
        assert box.letters == []  # it failed, and stays so until somebody asks
        ask(client_of(dana), visit, CLEO)
        work(app)
    assert len(box.letters) == 1
    assert [state for state, *_ in letters_of(app)] == ["failed", "sent"]


def test_a_wrong_password_has_failed_at_once_and_is_nowhere_told(
    app, mailbox, visit, erin_phone, dana, client_of, caplog
):
    port = app.config["SMTP_URL"].rpartition(":")[2]
    app.config["SMTP_URL"] = url(port, password="not the swans")
    reach(app)
    seal(app, erin_phone, visit)
    ((state, problem, reason, tries),) = letters_of(app)
    assert (state, problem, tries) == ("failed", "mail.sign-in", 1)
    assert reason.startswith("535")
    text = desk_page(client_of(dana), visit)
    assert "The mail server refused our name and password: 535" in text
    assert "swans" not in text + caplog.text
    assert mailbox.letters == []


def test_a_server_nobody_vouches_for_gets_nothing(app, visit, erin_phone, tmp_path):
    box = Mailbox()
    with listening(box, make_certificate(tmp_path, "stranger"), signs_in=True) as port:
        app.config["SMTP_URL"] = url(port)
        reach(app)
        seal(app, erin_phone, visit)
    ((state, problem, *_),) = letters_of(app)
    assert (state, problem) == ("failed", "mail.encryption")
    assert box.letters == []


def test_a_server_without_encryption_gets_nothing(app, visit, erin_phone):
    box = Mailbox()
    with listening(box) as port:
        app.config["SMTP_URL"] = url(port, user="")
        reach(app)
        seal(app, erin_phone, visit)
        ((state, problem, *_),) = letters_of(app)
        assert (state, problem) == ("failed", "mail.encryption")
        assert box.letters == []


def test_encryption_from_the_start_serves_as_well(app, visit, erin_phone, certificate):
    box = Mailbox()
    with listening(box, certificate, "tls") as port:
        app.config["SMTP_URL"] = url(port, "smtps", user="")
        reach(app)
        seal(app, erin_phone, visit)
    assert letters_of(app) == [("sent", "", "", 1)]
    assert box.was_safe == [True]


def test_a_relay_on_the_same_machine_needs_none(app, visit, erin_phone):
    box = Mailbox()
    with listening(box) as port:
        app.config["SMTP_URL"] = url(port, "smtp+plain", user="")
        reach(app)
        seal(app, erin_phone, visit)
    assert len(box.letters) == 1


def test_a_lost_paper_is_no_letter(app, mailbox, visit, erin_phone, dana, client_of):
    seal(app, erin_phone, visit)
    for path in app.config["INSTANCE"].rglob("1.pdf"):
        path.unlink()
    ask(client_of(dana), visit, CLEO)
    work(app)
    assert letters_of(app) == [("failed", "report.not-found", "", 1)]


# Once, and not never


def test_a_letter_is_handed_in_once_however_often_its_job_comes(app, mailbox, visit, erin_phone):
    reach(app)
    seal(app, erin_phone, visit)
    id_ = only_letter(app)
    with app.app_context():
        for _ in range(3):
            jobs.enqueue("mail", id_)
        jobs.enqueue("mail", "01900000-0000-7000-8000-00000000dead")
    work(app)
    assert len(mailbox.letters) == 1


def test_a_letter_whose_job_was_lost_goes_within_the_hour(
    app, mailbox, visit, erin_phone, dana, client_of
):
    seal(app, erin_phone, visit)
    ask(client_of(dana), visit, CLEO)
    app.extensions["huey"].flush()
    work(app)
    assert mailbox.letters == []
    with app.app_context():
        jobs.perform_job("mail-due", "")
    work(app)
    assert len(mailbox.letters) == 1
    with app.app_context():
        jobs.perform_job("mail-due", "")
    assert work(app) == 0


def test_while_one_tries_nobody_else_does(
    app, mailbox, visit, erin_phone, dana, client_of, monkeypatch
):
    seal(app, erin_phone, visit)
    ask(client_of(dana), visit, CLEO)
    deliver, id_ = postman.deliver, only_letter(app)

    def slowly(*args):
        with app.app_context():
            postman.send_mail(id_, datetime.now(UTC))  # another worker has the same job
        deliver(*args)

    monkeypatch.setattr(postman, "deliver", slowly)
    work(app)
    assert len(mailbox.letters) == 1
    assert letters_of(app) == [("sent", "", "", 1)]


# Settings


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("mail.example", "must begin with smtp://"),
        ("http://mail.example", "must begin with smtp://"),
        ("smtp://", "must name a host"),
        ("smtp://mail.example/inbox", "must name a host, and nothing behind it"),
        ("smtp+plain://me:swans@mail.example", "must be smtp:// or smtps://"),
        ("smtp://me:schwäne@mail.example", "ASCII"),
        ("smtp://mail.example:notaport", "FIELDAPP_SMTP_URL"),
    ],
)
def test_a_mail_server_that_cannot_be_one_stops_the_start(wrong, said):
    with pytest.raises(WrongSetting, match="FIELDAPP_SMTP_URL") as raised:
        read_settings({"SMTP_URL": wrong, "MAIL_FROM": SENDER}, {})
    assert said in str(raised.value)
    assert "swans" not in str(raised.value)


def test_a_mail_server_needs_a_sender_and_its_certificates(tmp_path):
    given = {"SMTP_URL": "smtp://mail.example"}
    for sender in ("", "Brook Alarms", "papers@brook.example\n"):
        with pytest.raises(WrongSetting, match="FIELDAPP_MAIL_FROM"):
            read_settings(given | {"MAIL_FROM": sender}, {})
    given |= {"MAIL_FROM": SENDER}
    with pytest.raises(WrongSetting, match="FIELDAPP_SMTP_CERTIFICATES"):
        read_settings(given | {"SMTP_CERTIFICATES": str(tmp_path / "none.pem")}, {})
    assert read_settings(given, {})["SMTP_SECONDS"] == 20
    assert read_settings({}, {})["SMTP_URL"] == ""
