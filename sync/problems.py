"""Everything that can go wrong, as one catalogue.

A *flag* marks a fact that a person must look at; the fact is kept.  An *error* fails a request and
tells the reader what to do.  Codes are stable for ever: operations and receipts carry them.
Sentences are English message ids with ``%(name)s`` for arguments; Chinese stands in the message
catalogues.  ``retry`` says whether sending the same thing again can ever help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Kind:
    """One thing that can go wrong.  ``status`` is the HTTP status of an error, 0 for a flag."""

    code: str
    type: Literal["flag", "error"]
    sentence: str
    status: int = 0
    retry: bool = False


class Problem(Exception):
    """``code`` of this catalogue happened; ``args_`` fill its sentence."""

    def __init__(self, code: str, **args: Any) -> None:
        super().__init__(code, args)
        self.code = code
        self.args_ = args


def _flag(code: str, sentence: str) -> Kind:
    return Kind(code, "flag", sentence)


def _error(code: str, status: int, sentence: str, retry: bool = False) -> Kind:
    return Kind(code, "error", sentence, status, retry)


KINDS: tuple[Kind, ...] = (
    # facts that a person must look at
    _flag(
        "arrival.several",
        "Several arrivals were reported, %(minutes)s minutes apart; the earliest counts.",
    ),
    _flag("part.serial-twice", "Serial number %(serial)s was installed more than once."),
    _flag("visit.work-on-cancelled", "Work was reported on a cancelled visit."),
    _flag("visit.unknown", "The office does not know this visit yet."),
    _flag("review.later-entries", "Entries arrived after the visit was accepted."),
    _flag("author.out-of-scope", "The visit was not assigned to the person who performed this."),
    _flag("author.not-owner", "The phone belongs to somebody else than the author named."),
    _flag("author.role", "The author's role does not perform this kind of operation."),
    _flag("device.revoked", "This phone had been revoked when it sent this."),
    _flag("clock.skew", "The phone's clock was off by %(minutes)s minutes."),
    _flag(
        "device.counter-twice",
        "Two entries carry the same number from one phone; its storage may have been copied.",
    ),
    _flag("operation.from-file", "This came in a file and not from the phone itself."),
    _flag("operation.same-id", "Two different operations carry the same id; both are kept."),
    _flag("operation.hash-mismatch", "The operation does not match its own hash."),
    _flag("operation.malformed", "The operation could not be read; it is kept as it came."),
    _flag(
        "operation.unknown-kind", "Operations of the kind %(kind)s are not known to this version."
    ),
    _flag("operation.fold-failed", "The operation could not be merged; it is kept as it came."),
    _flag("operation.dangling", "The entry this operation speaks of has not arrived."),
    _flag("field.missing", "%(field)s is missing."),
    _flag("field.too-long", "%(field)s is longer than %(limit)s characters."),
    _flag("field.control-characters", "%(field)s contains characters that cannot be seen."),
    _flag("field.not-a-choice", "%(field)s is not one of the choices."),
    _flag("field.not-a-moment", "%(field)s is not a date and time."),
    _flag(
        "field.not-a-serial", "%(field)s is not a serial number: letters, digits and - . / _ only."
    ),
    _flag(
        "consent.quote-changed",
        "The customer decided on another text than the quotation has now.",
    ),
    _flag(
        "consent.part-first",
        "A part was moved before the customer agreed to the quotation.",
    ),
    _error("consent.no-quote", 422, "There is no quotation to decide on. Write one first."),
    _flag("field.not-a-count", "%(field)s is not a number of pieces."),
    _flag("field.not-an-amount", "%(field)s is not an amount: digits, and a point before cents."),
    _flag("field.not-a-position", "%(field)s is not a position."),
    _flag("field.not-a-hash", "%(field)s does not name a photo."),
    _flag("field.not-strokes", "%(field)s is empty. Please sign with a finger."),
    _flag("field.wrong-type", "%(field)s has an unexpected form."),
    _flag("field.glyph", "%(field)s contains %(character)s, which cannot be printed."),
    _flag("loaner.untested", "The loaner was taken back although the bench test was not passed."),
    _flag("loaner.not-issued", "Loaner %(serial)s is not noted as issued to this customer."),
    _flag("signature.mismatch", "What the customer signed differs from what the office holds."),
    _flag("photo.unreadable", "The photo cannot be shown; its file is kept as evidence."),
    _flag("photo.too-many-pixels", "The photo has too many pixels to be shown; its file is kept."),
    _flag("customer.question", "The customer has a question."),
    # requests that fail
    _error("page.unknown", 404, "There is no such page. Go back to the list of visits."),
    _error("visit.not-found", 404, "There is no such visit among yours. Go back to the list."),
    _error("entry.not-found", 404, "There is no such entry on this visit. Go back to the visit."),
    _error(
        "entry.final",
        422,
        "Only a settled conflict, a dismissed flag, a release or a cancellation can be taken back.",
    ),
    _error(
        "opening.not-ready",
        404,
        "This phone must reach the office once before it can open a visit. Please sync.",
    ),
    _error("phone.not-found", 404, "There is no such phone. Go back to the list of phones."),
    _error("work-order.not-found", 404, "There is no such work order. Go back to the board."),
    _error("customer.not-found", 404, "There is no such customer, site or contact."),
    _error("report.not-found", 404, "There is no such work order document."),
    _error("photo.not-found", 404, "The photo is not here. It may still be on the phone."),
    _error("access.sign-in", 401, "Please sign in. Nothing you entered on this phone is lost."),
    _error("access.wrong", 401, "Account or password is wrong. Please try again."),
    _error("access.too-often", 429, "Too many attempts. Please wait a minute and try again.", True),
    _error("access.role", 403, "Your role does not include this. Ask your manager."),
    _error("access.cross-site", 403, "This request came from another site and was refused."),
    _error("access.missing-device", 401, "This phone is not enrolled. Please sign in again."),
    _error("access.revoked", 403, "This phone was revoked. Ask the office to enrol it again."),
    _error("form.incomplete", 422, "Please complete the marked fields."),
    _error("signature.others-first", 422, "Who signs last waits: somebody else must sign before."),
    _error("form.stale", 409, "Somebody else changed this meanwhile. Please look again."),
    _error("method.not-allowed", 405, "This page does not take that. Go back and try again."),
    _error("content.wrong-type", 415, "The server cannot read this type of content."),
    _error(
        "content.too-large", 413, "That is larger than the server takes. Send it in parts.", True
    ),
    _error("content.unreadable", 400, "The server could not read that request."),
    _error(
        "push.not-json", 400, "The push was not readable JSON. Nothing was taken; send it again."
    ),
    _error("push.protocol", 426, "This version of the app is not understood. Please reload it."),
    _error("unsent.no-file", 422, "Choose the file with the unsent work first."),
    _error(
        "unsent.too-large", 413, "This file is larger than %(limit)s MB, more than this page takes."
    ),
    _error("unsent.unreadable", 422, "This file is damaged or no JSON. Have it saved again."),
    _error("unsent.format", 422, "This is no file of unsent work from a phone, or one too new."),
    _error("unsent.person", 422, "This file comes from somebody who does not work here."),
    _error("unsent.photo", 422, "A photo in this file is damaged. Have the file saved again."),
    _error("unsent.gone", 409, "The file shown before is no longer here. Choose it again."),
    _error("blob.hash-mismatch", 422, "The photo arrived damaged. The phone sends it again.", True),
    _error("blob.offset", 409, "The photo is at another place. Go on from the offset named.", True),
    _error("photo.not-a-hash", 400, "A photo is named by the SHA-256 of its bytes."),
    _error("report.lost", 500, "The file of this paper is lost."),
    _error("report.damaged", 500, "The file of this paper is damaged: it is not what was sealed."),
    _error("report.missing-glyph", 500, "The fonts cannot print %(characters)s."),
    _error("report.fetch-denied", 500, "The paper asked for a file from outside: %(url)s"),
    _error("report.lint", 500, "The paper breaks a rule of PDF/A: %(rule)s"),
    _error("report.timeout", 500, "Making the paper took too long.", True),
    _error("report.failed", 500, "Making the paper failed: %(reason)s", True),
    _error("seal.key-unreadable", 500, "The sealing key cannot be read; run fieldapp doctor."),
    _error("seal.no-timestamp", 503, "The timestamp authority did not answer: %(reason)s", True),
    _error("bundle.not-found", 404, "There is no such file of papers any more. Start it again."),
    _error("bundle.month", 422, "That is no month. Please choose one."),
    _error("bundle.empty", 422, "No paper was sealed in that month."),
    _error("bundle.not-begun", 503, "Nobody has begun it: other work comes first.", True),
    _error("bundle.lost", 503, "The server stopped before it was finished. Start it again.", True),
    _error("bundle.failed", 500, "The file could not be made: %(reason)s", True),
    _error("reseal.unknown", 404, "No visit and no work order is called %(called)s."),
    _error("reseal.no-paper", 404, "No such paper of %(called)s was ever sealed."),
    _error("reseal.not-lost", 409, "No paper of %(called)s is lost: all are what was sealed."),
    _error("reseal.no-source", 409, "It was sealed by a fieldapp that did not keep what it says."),
    _error("reseal.part-lost", 409, "What belongs on it is lost or damaged too: %(part)s."),
    _error(
        "reseal.changed",
        409,
        "It was made by fieldapp %(then)s; made by this one, %(now)s, it would not be the same. "
        "Seal it again with that version and the libraries it had.",
    ),
    _error("customer.too-many", 429, "Nothing more can be taken here. Please call us instead."),
    _error("mail.not-set-up", 409, "This installation sends no e-mail."),
    _error("mail.address", 422, "That is no e-mail address."),
    _error("mail.refused", 502, "The mail server refused the letter: %(reason)s"),
    _error("mail.sign-in", 502, "The mail server refused our name and password: %(reason)s"),
    _error("mail.encryption", 502, "There is no safe connection to the mail server: %(reason)s"),
    _error("mail.busy", 503, "The mail server put the letter off: %(reason)s", True),
    _error("mail.no-server", 503, "The mail server did not answer: %(reason)s", True),
    _error("time.backwards", 422, "The end lies before the start."),
    _error("time.unreadable", 422, "That is not a date and time."),
    _error("sla.never-open", 500, "The opening hours never open."),
    _error(
        "server.failed", 500, "Something went wrong on our side. Nothing was lost; try again.", True
    ),
    _error("server.busy", 503, "The server is busy. Please try again in a moment.", True),
    # what a phone says of itself and of whoever answers it
    _error(
        "phone.failed", 500, "Something in this app failed. What you saved is kept; open it again."
    ),
    _error("pin.digits", 422, "A PIN has 4 to 8 digits."),
    _error("pin.repeat", 422, "The two PINs are not the same. Please type both again."),
    _error("pin.wrong", 403, "That is not the PIN of this phone.", True),
    _error("pin.wait", 429, "Too many wrong PINs. Please wait %(seconds)s seconds.", True),
    _error(
        "phone.blocked", 503, "Another window of this app is in the way. Please close it.", True
    ),
    _error(
        "phone.locked", 423, "This phone is locked. What you typed is kept: open the form again."
    ),
    _error("phone.no-room", 507, "This phone has no room left: this was not saved. Free some."),
    _error("photo.no-room", 507, "This phone has no room for another photo. All else is saved."),
    _error("answer.not-ours", 502, "Somebody else answers in the office's place.", True),
    _error("answer.protocol", 502, "The office speaks a newer version. Please reopen the app."),
    _error("answer.empty", 502, "The office confirmed nothing. It is sent again.", True),
)

CATALOGUE: dict[str, Kind] = {kind.code: kind for kind in KINDS}


def sentence(code: str) -> str:
    """The English sentence of ``code``; a code of a newer version stands for itself."""
    kind = CATALOGUE.get(code)
    return kind.sentence if kind else code
