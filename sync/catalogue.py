"""Every operation a person can perform on a visit.

One :class:`Kind` says everything about an operation that both sides must agree on: the noun in
its URL, its fields, who may perform it, how it merges and whether it stands on the signed paper.
Forms, validation, rendering and the phone all read this list; the phone gets it as JSON.

Labels are English message ids; :func:`N_` marks them for the catalogues under
``fieldapp/translations``.  Choices whose words belong to the organisation are named here and listed
in its policy pack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sync.problems import Problem

FieldType = Literal[
    "text",  # one line
    "paragraph",  # several lines
    "choice",  # one key of a policy list
    "ticks",  # several keys of a policy list
    "moment",  # ISO UTC with seconds, read from local time at the site
    "serial",  # a serial number, may be scanned
    "count",  # pieces: an integer, no more than ``limit``
    "money",  # minor units of the organisation's currency, no more than ``limit``
    "position",  # {latitude, longitude: micro-degrees, accuracy: metres}
    "photo",  # SHA-256 of the stored bytes
    "strokes",  # [[x, y, ms, …], …]: integers, one flat list a stroke
    "people",  # ids of persons, no more than ``limit``
    "entry",  # the id of an operation on the same visit
    "hidden",  # carried by the form, not shown
]
Policy = Literal["add", "set", "void", "correction", "assert", "sign", "judgement"]
OnPaper = Literal["signed", "after", "never"]


def N_(text: str) -> str:
    """Mark ``text`` as a message id without translating it."""
    return text


@dataclass(frozen=True)
class Field:
    """One thing a form asks for.

    ``limit`` is the greatest number of characters (of points for strokes, the greatest
    number itself for counts and money).  ``choices`` names a
    list of the policy pack.  ``default`` is ``"now"`` (the moment of saving), ``"soon"``
    (so many minutes from then, to be chosen), ``"quote"`` (the newest quotation that stands),
    ``"contact"`` (the contact's name) or empty.  What is required is so ``unless``
    the field of that name is filled in; what is not is required ``beside`` one that is.
    ``expects`` is what a number should name: the ``asset`` of the work order, a thing in the
    ``van``, a ``loaner`` lent here, the ``original`` taken away for it, a ``part`` of the stock,
    or nothing in particular.  What ``is_hash`` names a photo by its SHA-256, whatever its type.
    """

    name: str
    type: FieldType
    label: str
    required: bool = False
    limit: int = 200
    choices: str = ""
    default: str = ""
    hint: str = ""
    unless: str = ""
    beside: str = ""
    expects: str = ""
    is_hash: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of operation.

    ``name`` is the field trade's noun, for ever part of stored operations.  ``noun`` is its plural
    in URLs.  ``roles`` are the roles that may perform it.
    """

    name: str
    noun: str
    label: str
    policy: Policy
    on_paper: OnPaper
    roles: tuple[str, ...]
    fields: tuple[Field, ...] = ()

    def field(self, name: str) -> Field:
        """The field called ``name``; KeyError when this kind has none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


PARAGRAPH = 4000
"""Longest paragraph in characters: what WeasyPrint lays out well below a second."""

AMOUNT = 10**10
"""Largest amount in minor units."""

PIECES = 9_999
"""Most pieces of one thing: pieces at that price stay far below what JavaScript counts exactly."""

FIELD = ("engineer",)
DESK = ("dispatcher", "manager")
BOTH = FIELD + DESK

CUSTOMER = ("customer",)
"""Nobody who signs in: whoever holds the link of a sealed work order."""

HANDED = CUSTOMER + FIELD
"""The customer, by the link or on the engineer's phone that was handed to him."""

ABOUT_ONE = (
    Field("entry", "entry", N_("Entry"), True, 36),
    Field("reason", "text", N_("Reason"), True, 300),
)
"""Which operation it is about, and why."""

KINDS: tuple[Kind, ...] = (
    Kind(
        "opening",
        "openings",
        N_("Opened on site"),
        "add",
        "signed",
        FIELD,
        (
            Field("customer", "text", N_("Customer"), True),
            Field("site", "text", N_("Site and address"), True, 300),
            Field("contact_name", "text", N_("Contact"), True, 100),
            Field("contact_phone", "text", N_("Telephone"), limit=40),
            Field("job_type", "choice", N_("Job type"), True, choices="job_types"),
            Field("text", "paragraph", N_("What is wrong"), True, PARAGRAPH),
        ),
    ),
    Kind(
        "departure",
        "departures",
        N_("Departure"),
        "add",
        "signed",
        FIELD,
        (
            Field("eta_at", "moment", N_("Estimated time of arrival"), True, default="soon"),
            Field("told_name", "text", N_("Who was told"), True, 100),
            Field("told_by", "choice", N_("Told by"), True, choices="channels"),
        ),
    ),
    Kind(
        "arrival",
        "arrivals",
        N_("Arrival"),
        "add",
        "signed",
        FIELD,
        (
            Field("outcome", "choice", N_("What I found"), True, choices="arrival_outcomes"),
            Field("late_reason", "text", N_("Reason, if late"), limit=300),
            Field("position", "position", N_("Position"), hint=N_("Only if you allow it.")),
        ),
    ),
    Kind(
        "step",
        "steps",
        N_("Check-list"),
        "add",
        "signed",
        FIELD,
        (
            Field("list", "hidden", N_("Check-list"), True, 40),
            Field("done", "ticks", N_("Done"), True, choices="checklist"),
        ),
    ),
    Kind(
        "identification",
        "identifications",
        N_("Identification"),
        "add",
        "signed",
        FIELD,
        (
            Field(
                "serial", "serial", N_("Serial number on the machine"), True, 64, expects="asset"
            ),
            Field("model", "text", N_("Model on the machine"), limit=100),
            Field("verdict", "choice", N_("Agrees with the work order"), True, choices="verdicts"),
            Field("difference_text", "paragraph", N_("What differs"), limit=1000),
        ),
    ),
    Kind(
        "fault",
        "faults",
        N_("Fault"),
        "set",
        "signed",
        BOTH,
        (
            Field("text", "paragraph", N_("Fault symptom"), True, PARAGRAPH),
            Field("level", "choice", N_("Fault level"), choices="fault_levels"),
            Field("location", "text", N_("Fault location")),
        ),
    ),
    Kind(
        "diagnosis",
        "diagnoses",
        N_("Diagnosis"),
        "set",
        "signed",
        FIELD,
        (
            Field("text", "paragraph", N_("Fault cause"), True, PARAGRAPH),
            Field("cause", "choice", N_("Cause class"), True, choices="causes"),
            Field("category", "choice", N_("Fault category"), choices="categories"),
            Field("repair", "choice", N_("Where it can be repaired"), True, choices="repairs"),
        ),
    ),
    Kind(
        "downtime",
        "downtimes",
        N_("System downtime"),
        "add",
        "signed",
        FIELD,
        (
            Field("event", "choice", N_("System"), True, choices="downtime_events"),
            Field("at", "moment", N_("Time"), True, default="now"),
        ),
    ),
    Kind(
        "measure",
        "measures",
        N_("Measure"),
        "add",
        "signed",
        FIELD,
        (
            Field("text", "paragraph", N_("Concrete measures taken"), True, PARAGRAPH),
            Field("completed_at", "moment", N_("Completion time"), True, default="now"),
        ),
    ),
    Kind(
        "swap",
        "swaps",
        N_("Part swap"),
        "add",
        "signed",
        FIELD,
        (
            Field("part_name", "text", N_("Part"), True, 100, expects="part"),
            Field("removed_serial", "serial", N_("Serial number removed"), True, 64),
            Field(
                "installed_serial", "serial", N_("Serial number installed"), True, 64, expects="van"
            ),
            Field("fate", "choice", N_("Fate of the old part"), True, choices="fates"),
        ),
    ),
    Kind(
        "loaner",
        "loaners",
        N_("Loaner issue"),
        "add",
        "signed",
        FIELD,
        (
            Field(
                "removed_serial",
                "serial",
                N_("Serial number taken away"),
                True,
                64,
                expects="asset",
            ),
            Field(
                "loaner_serial",
                "serial",
                N_("Serial number of the loaner"),
                True,
                64,
                expects="van",
            ),
            Field("reason_text", "text", N_("Why it must leave"), True, 300),
            Field("told_text", "paragraph", N_("What the customer was told"), True, 1000),
        ),
    ),
    Kind(
        "take-back",
        "take-backs",
        N_("Loaner take-back"),
        "add",
        "signed",
        FIELD,
        (
            Field(
                "loaner_serial",
                "serial",
                N_("Serial number of the loaner"),
                True,
                64,
                expects="loaner",
            ),
            Field(
                "refitted_serial",
                "serial",
                N_("Serial number put back"),
                True,
                64,
                expects="original",
            ),
            Field("test_result", "choice", N_("Bench test"), True, choices="test_results"),
        ),
    ),
    Kind(
        "training",
        "trainings",
        N_("Training"),
        "add",
        "signed",
        FIELD,
        (
            Field("text", "paragraph", N_("What was taught"), True, 1000),
            Field(
                "names",
                "paragraph",
                N_("Who was trained"),
                True,
                2000,
                hint=N_("One name a line. Everybody named here signs."),
            ),
        ),
    ),
    Kind(
        "reading",
        "readings",
        N_("Reading"),
        "add",
        "signed",
        FIELD,
        (
            Field("item", "text", N_("What was looked at"), True, 100),
            Field("value", "text", N_("Value"), limit=60),
            Field("unit", "text", N_("Unit"), limit=20),
            Field("verdict", "choice", N_("Finding"), True, choices="reading_verdicts"),
        ),
    ),
    Kind(
        "backup-statement",
        "backup-statements",
        N_("Statement on data backup"),
        "add",
        "signed",
        FIELD,
        (
            Field("statement", "choice", N_("The customer states"), True, choices="backups"),
            Field("name", "text", N_("Who states it"), True, 100),
        ),
    ),
    Kind(
        "quote",
        "quotes",
        N_("Quotation"),
        "add",
        "signed",
        FIELD,
        (
            Field("text", "paragraph", N_("What is offered"), True, 1000),
            Field("amount", "money", N_("Amount"), True, AMOUNT),
            Field("warranty_text", "text", N_("Warranty on the repair")),
        ),
    ),
    Kind(
        "consent",
        "consents",
        N_("Decision on the quotation"),
        "add",
        "signed",
        FIELD,
        (
            Field("quote", "entry", N_("Quotation"), limit=36, default="quote"),
            Field("decision", "choice", N_("The customer decides"), True, choices="decisions"),
            Field("name", "text", N_("Name in print"), True, 100),
            Field("strokes", "strokes", N_("Signature"), True, 4000),
        ),
    ),
    Kind(
        "charge",
        "charges",
        N_("Charge"),
        "add",
        "signed",
        FIELD,
        (
            Field("category", "choice", N_("Kind of charge"), True, choices="charge_categories"),
            Field("text", "text", N_("For what"), True),
            Field("quantity", "count", N_("Quantity"), True, PIECES),
            Field("unit_price", "money", N_("Unit price"), True, AMOUNT),
        ),
    ),
    Kind(
        "invoice",
        "invoices",
        N_("Invoice or receipt"),
        "add",
        "signed",
        FIELD,
        (
            Field("number", "text", N_("Number"), True, 60),
            Field("paid_by", "choice", N_("Paid by"), choices="payments"),
        ),
    ),
    Kind(
        "photo",
        "photos",
        N_("Photo"),
        "add",
        "signed",
        FIELD,
        (
            Field("sha256", "photo", N_("Photo"), True, 64),
            Field("slot", "choice", N_("Which photo"), choices="photo_slots"),
            Field("caption", "text", N_("What it shows"), limit=200),
            Field("unmarked", "hidden", N_("Without the marks"), limit=64, is_hash=True),
        ),
    ),
    Kind(
        "note",
        "notes",
        N_("Note"),
        "add",
        "signed",
        FIELD,
        (Field("text", "paragraph", N_("Note"), True, PARAGRAPH),),
    ),
    Kind(
        "outcome",
        "outcomes",
        N_("Outcome"),
        "set",
        "signed",
        FIELD,
        (
            Field("result", "choice", N_("Outcome"), True, choices="results"),
            Field("next_text", "paragraph", N_("Next step"), limit=1000),
        ),
    ),
    Kind(
        "signature",
        "signatures",
        N_("Signature"),
        "sign",
        "signed",
        FIELD,
        (
            Field("name", "text", N_("Name in print"), True, 100),
            Field("role", "choice", N_("Role"), True, choices="signatory_roles"),
            Field("opinion", "paragraph", N_("Opinion"), limit=1000),
            Field("strokes", "strokes", N_("Signature"), True, 4000, unless="witness_name"),
            Field("witness_name", "text", N_("Witness"), limit=100, beside="witness_role"),
            Field(
                "witness_role",
                "text",
                N_("Who the witness is"),
                limit=100,
                hint=N_("For example: the engineer, a colleague, a relative."),
                beside="witness_name",
            ),
        ),
    ),
    Kind(
        "refusal",
        "refusals",
        N_("Refusal to sign"),
        "add",
        "signed",
        FIELD,
        (
            Field("reason", "choice", N_("Reason"), True, choices="refusal_reasons"),
            Field("text", "paragraph", N_("In the customer's words"), limit=1000),
            Field("witness_name", "text", N_("Witness"), limit=100),
        ),
    ),
    Kind(
        "signature-request",
        "signature-requests",
        N_("Signature by link"),
        "add",
        "never",
        BOTH,
        (
            Field("name", "text", N_("Who is to sign"), True, 100, default="contact"),
            Field("role", "choice", N_("Role"), True, choices="signatory_roles"),
        ),
    ),
    Kind(
        "leaving",
        "leavings",
        N_("Leaving"),
        "add",
        "never",
        FIELD,
        (Field("next_text", "text", N_("Where to next"), limit=200),),
    ),
    Kind(
        "proposal",
        "proposals",
        N_("Proposed correction of office data"),
        "add",
        "never",
        FIELD,
        (Field("text", "paragraph", N_("What is wrong, and what is right"), True, 1000),),
    ),
    Kind(
        "void",
        "voids",
        N_("Void"),
        "void",
        "signed",
        BOTH,
        ABOUT_ONE,
    ),
    Kind("correction", "corrections", N_("Correction"), "correction", "signed", FIELD),
    Kind(
        "appointment",
        "appointments",
        N_("Agreed visit time"),
        "set",
        "never",
        DESK,
        (Field("at", "moment", N_("Agreed visit time"), True),),
    ),
    Kind(
        "assignment",
        "assignments",
        N_("Assignment"),
        "assert",
        "never",
        DESK,
        (
            Field("engineer", "hidden", N_("Engineer"), limit=36),  # empty: nobody goes any more
            Field("helpers", "people", N_("Also on this visit"), limit=10),
        ),
    ),
    Kind(
        "remark",
        "remarks",
        N_("Remark from the office"),
        "add",
        "never",
        DESK,
        (Field("text", "paragraph", N_("Remark"), True, PARAGRAPH),),
    ),
    Kind(
        "cancellation",
        "cancellations",
        N_("Cancellation"),
        "assert",
        "never",
        DESK,
        (Field("reason", "text", N_("Reason"), True, 300),),
    ),
    Kind(
        "review",
        "reviews",
        N_("Review"),
        "assert",
        "never",
        DESK,
        (
            Field("verdict", "choice", N_("Verdict"), True, choices="review_verdicts"),
            Field("reason", "paragraph", N_("Reason"), limit=1000),
        ),
    ),
    Kind("resolution", "resolutions", N_("Resolution"), "set", "never", DESK),
    Kind(
        "dismissal",
        "dismissals",
        N_("Dismissed flag"),
        "judgement",
        "never",
        DESK,
        (
            Field("entry", "entry", N_("Entry"), True, 36),
            Field("code", "hidden", N_("Flag"), True, 60),
            Field("reason", "text", N_("Reason"), True, 300),
        ),
    ),
    Kind(
        "release",
        "releases",
        N_("Release from quarantine"),
        "judgement",
        "never",
        DESK,
        ABOUT_ONE,
    ),
    Kind(
        "reopening",
        "reopenings",
        N_("Reopening"),
        "judgement",
        "never",
        DESK,
        ABOUT_ONE,
    ),
    Kind(
        "rating",
        "ratings",
        N_("Rating"),
        "add",
        "never",
        HANDED,
        (
            Field("stars", "choice", N_("Rating"), True, choices="ratings"),
            Field("opinion", "paragraph", N_("Opinion"), limit=1000),
        ),
    ),
    Kind(
        "question",
        "questions",
        N_("Customer's question"),
        "add",
        "never",
        CUSTOMER,
        (
            Field("text", "paragraph", N_("Question"), True, 2000),
            Field("reach", "text", N_("Telephone or e-mail")),
        ),
    ),
)

_BY_NAME = {kind.name: kind for kind in KINDS}
_BY_NOUN = {kind.noun: kind for kind in KINDS}

ON_PAPER: dict[str, str] = {kind.name: kind.on_paper for kind in KINDS}
"""Whether entries of a kind stand on the signed paper, only on an addendum, or never."""


FROM_CUSTOMER = tuple(kind.name for kind in KINDS if "customer" in kind.roles)
"""What the customer says, behind the link or on a phone handed to him: no work, and his alone."""

BY_CUSTOMER = (*FROM_CUSTOMER, "signature")
"""What the customer performs on a device of his own."""


def kind_named(name: str) -> Kind:
    """The kind stored in operations as ``name``; Problem("operation.unknown-kind") otherwise."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise Problem("operation.unknown-kind", kind=name) from None


def is_known(name: str) -> bool:
    """Whether this version can fold operations of kind ``name``."""
    return name in _BY_NAME


def kind_of(noun: str) -> Kind:
    """The kind behind the plural ``noun`` of a URL; Problem("page.unknown") otherwise."""
    try:
        return _BY_NOUN[noun]
    except KeyError:
        raise Problem("page.unknown") from None


def as_data() -> list[dict[str, Any]]:
    """The catalogue as plain JSON values, for the phone."""
    return [
        {
            "name": kind.name,
            "noun": kind.noun,
            "label": kind.label,
            "policy": kind.policy,
            "on_paper": kind.on_paper,
            "roles": list(kind.roles),
            "fields": [vars(field) | {} for field in kind.fields],
        }
        for kind in KINDS
    ]
