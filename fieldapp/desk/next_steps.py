"""What to do about each flag: the sentence below the flag, for whoever is at the desk."""

from __future__ import annotations

from sync.catalogue import N_

_ASK = N_("Ask the engineer what is right and have the entry corrected; then dismiss the flag.")
_UPDATE = N_(
    "Nothing is lost. Update this installation; what the entry says then counts by itself."
)
_WHOSE = N_(
    "Ask the person named whether this is his work. Release it if so; else dismiss the flag and "
    "it stays apart."
)
_PHOTO = N_("Open the stored file or ask for another photo; then dismiss the flag.")

NEXT_STEPS: dict[str, str] = {
    "arrival.several": N_(
        "Ask when the engineer really arrived and void the arrival that is wrong, or dismiss the "
        "flag if several people arrived."
    ),
    "part.serial-twice": N_(
        "Compare the photos of the type plate and have the wrong entry corrected or voided."
    ),
    "visit.work-on-cancelled": N_(
        "Call the engineer. Take the cancellation back if the work counts, else void the entries."
    ),
    "visit.unknown": N_("Find out which customer it was and open a work order for it."),
    "review.later-entries": N_("Read what came later and review the visit again."),
    "author.out-of-scope": N_(
        "Ask who sent this person there. Assign the visit, void the entry, or dismiss the flag."
    ),
    "author.not-owner": _WHOSE,
    "author.role": N_(
        "Ask the person for the reason. Perform it here yourself if it is right, then dismiss the "
        "flag."
    ),
    "device.revoked": _WHOSE,
    "clock.skew": N_(
        "The times were put right by the server's clock. Ask the engineer to let the phone set "
        "its clock by itself."
    ),
    "device.counter-twice": N_(
        "Ask whether two phones or two browsers are in use; revoke the one that should not be."
    ),
    "operation.from-file": N_(
        "Compare it with what the engineer says: a file can be changed by anybody. Then dismiss "
        "the flag."
    ),
    "operation.same-id": N_(
        "Look at both copies below and have the engineer confirm which one is right."
    ),
    "operation.hash-mismatch": N_(
        "It may have been damaged on its way. Compare it with what the engineer sees on the phone."
    ),
    "operation.malformed": N_("Ask the engineer what this was and have it entered again."),
    "operation.unknown-kind": _UPDATE,
    "operation.fold-failed": _UPDATE,
    "operation.dangling": N_(
        "Wait until the phone has sent everything. If the flag stays, dismiss it."
    ),
    "field.missing": _ASK,
    "field.too-long": _ASK,
    "field.control-characters": _ASK,
    "field.not-a-choice": _ASK,
    "field.not-a-moment": _ASK,
    "field.not-a-serial": _ASK,
    "field.not-a-count": _ASK,
    "field.not-an-amount": _ASK,
    "field.not-a-position": _ASK,
    "field.not-a-hash": _ASK,
    "field.not-strokes": N_("The signature is empty: ask the customer to sign again."),
    "field.wrong-type": _ASK,
    "field.glyph": N_("The paper cannot print this character: have the text corrected."),
    "loaner.untested": N_("Have the bench test repeated before the loaner is lent again."),
    "loaner.not-issued": N_(
        "Look for the notice under which the loaner was lent, or have the serial number corrected."
    ),
    "signature.mismatch": N_(
        "Compare the signed paper with the entries below. If they differ in substance, ask the "
        "customer to sign again."
    ),
    "consent.quote-changed": N_(
        "Compare the quotation with what the customer agreed to and have him decide again."
    ),
    "consent.part-first": N_(
        "Ask whether the customer had agreed on the telephone; note it, or do not charge the part."
    ),
    "customer.question": N_(
        "Answer the customer; then dismiss the flag and note what was answered."
    ),
    "photo.unreadable": _PHOTO,
    "photo.too-many-pixels": _PHOTO,
}
"""English message id by code of ``sync.problems``; every flag has one."""

OTHER = N_("Look at the entry and decide; then dismiss the flag.")
"""For a flag that a newer version noted."""


def next_step(code: str) -> str:
    """What to do about a flag, as a message id."""
    return NEXT_STEPS.get(code, OTHER)
