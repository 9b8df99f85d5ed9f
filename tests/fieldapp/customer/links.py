"""What happens at a customer's before there is a link, and what is done on the page behind it."""

from datetime import UTC, datetime, timedelta

from fieldapp.ids import mint_id
from tests.phones import PAGE, loaner, signature, state_of

UNKNOWN = "0123456789abcdef" * 2
ON_ITS_WAY = "It appears as soon as the engineer"
OLD_ENOUGH = timedelta(days=731)


def work_on(phone, visit):
    """What Erin does at Cleo's before anybody signs."""
    phone.push(
        phone.operation("arrival", visit, {"outcome": "present", "position": {
            "latitude": 31_230_000, "longitude": 121_470_000, "accuracy": 8}}),
        phone.operation("diagnosis", visit, {
            "diagnosis/text": "mains board burnt", "diagnosis/cause": "product",
            "diagnosis/repair": "factory"}),
        phone.operation("measure", visit, {
            "text": "mains board replaced", "completed_at": "2026-03-10T03:00:00Z"}),
        phone.operation("swap", visit, {
            "part_name": "Mains board", "removed_serial": "MB-1", "installed_serial": "MB-2",
            "fate": "factory"}),
        loaner(phone, visit, "SP-7"),
        phone.operation("proposal", visit, {"text": "the gate code is 4711"}),
        phone.operation("outcome", visit, {
            "outcome/result": "loaner-in-use", "outcome/next_text": "bring the host back on Friday"}),
    )  # fmt: skip


def seal_of(app, visit, phone, work):
    """The token under which the visit's papers are sealed once Cleo has signed."""
    body = signature(phone, visit)
    phone.push(body)
    work()
    return body["value"]["token"]


def page(client, path, status=200):
    response = client.get(path)
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def say(client, token, noun, status=303, headers=PAGE, **form):
    """What the page answers to a form; the id is a new one unless given."""
    given = {"id": mint_id(datetime.now(UTC))} | form
    response = client.post(f"/verify/{token}/{noun}", data=given, headers=dict(headers))
    assert response.status_code == status, response.text
    return " ".join(response.text.split())


def words_of(app, visit, kind):
    """What the customer said on the visit, as the journal has it."""
    return [entry["value"] for entry in state_of(app, visit)["entries"] if entry["kind"] == kind]
