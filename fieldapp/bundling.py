"""A month's papers written into one ZIP with an index, one paper after the other.

Nothing but the paper in hand is in memory, and no transaction is open while storage is read.
"""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from fieldapp import blobs
from fieldapp.languages import texts
from fieldapp.models import Organisation, Report, Visit, WorkOrder, db
from fieldapp.models.papers import PLACE
from fieldapp.months import bounds_of
from fieldapp.offline.messages import Messages, singular
from fieldapp.policies import Policy, load_policy
from fieldapp.register import is_registered
from fieldapp.reports import paper_file
from sync.catalogue import N_
from sync.problems import sentence
from sync.verdict import digest_of

AT_ONCE = 20
"""Papers after which is told how far it got."""

NAME_CHARACTERS = 40
"""Most characters of a work order's number in a file name: 255 bytes is what a system takes."""

INDEX = "index.csv"

_HEADINGS = (
    N_("Work order"),
    N_("Customer"),
    N_("Site"),
    N_("Job type"),
    N_("Engineer"),
    N_("Arrived (time at the site)"),
    N_("Left (time at the site)"),
    N_("Revision"),
    N_("Paper"),
    N_("Sealed (time at the office)"),
    N_("Signature"),
    N_("Superseded"),
    "SHA-256",
    N_("File"),
    N_("Missing"),
)

_VERDICTS = {
    "verified": N_("The office holds what was signed"),
    "mismatch": N_("Differs from what the office holds"),
    "refused": N_("Refused to sign"),
    "withdrawn": N_("Signature withdrawn"),
}

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A cell that begins with one of these is counted out by a spreadsheet instead of shown."""


@dataclass(frozen=True)
class Written:
    """How many papers there were, and how many of them are lost or damaged."""

    count: int
    missing: int


@dataclass(frozen=True)
class _Words:
    """How the index speaks: its texts, the policy's words in ``key``, the office's ``zone``."""

    texts: Messages
    policy: Policy
    key: str
    zone: str

    def say(self, message: str) -> str:
        """``message`` in the reader's language."""
        return singular(self.texts, message)


@dataclass(frozen=True)
class _Paper:
    """One sealed paper and what the index says of it, apart from its file."""

    id: str
    org_id: str
    kept_as: str
    sha256: str
    sealed_at: datetime
    name: str  # without its ending
    cells: tuple[str, ...]


def papers_sealed(owner: Organisation, month: str) -> list[str]:
    """Ids of every paper that was sealed in ``month`` on the organisation's clock, in order."""
    first, end = bounds_of(month, owner.zone)
    return list(
        db.session.scalars(
            select(Report.id)
            .where(Report.org_id == owner.id, Report.sealed_at >= first, Report.sealed_at < end)
            .order_by(Report.sealed_at, Report.visit_id, Report.revision, PLACE)
        )
    )


def write_bundle(
    out: IO[bytes],
    owner: Organisation,
    month: str,
    language: str,
    tell: Callable[[int, int, int], None],
) -> Written:
    """Write every paper sealed in ``month`` and their index to ``out``, a ZIP.

    A lost or damaged file stands in the index and stops nothing.  ``tell(done, missing, count)``
    hears how far it got, at the beginning too; what it raises ends the work.
    """
    org_id, zone, policy = owner.id, owner.zone, load_policy(owner.policy)
    ids = papers_sealed(owner, month)
    words = _Words(texts()[language], policy, "zh" if language == "zh_CN" else "en", zone)
    names: set[str] = {INDEX}
    done = missing = 0
    tell(done, missing, len(ids))
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as bundle,
        tempfile.TemporaryFile() as kept,
        # a byte order mark, or Excel takes it for another encoding
        io.TextIOWrapper(kept, "utf-8-sig", errors="replace", newline="") as index,
    ):
        sheet = csv.writer(index)
        sheet.writerow(map(words.say, _HEADINGS))
        for start in range(0, len(ids), AT_ONCE):
            for paper in _described(org_id, ids[start : start + AT_ONCE], words):
                pdf = blobs.read(paper.org_id, paper.kept_as)
                sha256, trouble = _judged(paper, pdf)
                name = ""
                if pdf is not None and not trouble:
                    name = _unique(paper.name, names)
                    bundle.writestr(_entry(name, paper.sealed_at, zone), pdf)
                missing += bool(trouble)
                told = words.say(sentence(trouble)) if trouble else ""
                sheet.writerow(map(_cell, (*paper.cells, sha256, name, told)))
                done += 1
            tell(done, missing, len(ids))
        index.flush()
        kept.seek(0)
        with bundle.open(INDEX, "w") as entry:
            shutil.copyfileobj(kept, entry)
    return Written(done, missing)


def _described(org_id: str, ids: Sequence[str], words: _Words) -> Iterator[_Paper]:
    """What is said of some papers, read at once; the transaction is over before the first comes."""
    reports = {
        report.id: report
        for report in db.session.scalars(
            select(Report).where(Report.org_id == org_id, Report.id.in_(ids))
        )
    }
    visits = {
        visit.id: visit
        for visit in db.session.scalars(
            select(Visit)
            .where(Visit.org_id == org_id, Visit.id.in_({one.visit_id for one in reports.values()}))
            .options(joinedload(Visit.work_order).joinedload(WorkOrder.request))
        )
    }
    newest = {
        row[0]: row[1]
        for row in db.session.execute(
            select(Report.visit_id, func.max(Report.revision))
            .where(Report.org_id == org_id, Report.visit_id.in_(visits))
            .group_by(Report.visit_id)
        )
    }
    papers = [_paper(reports[id_], visits[reports[id_].visit_id], newest, words) for id_ in ids]
    db.session.rollback()
    db.session.expunge_all()
    yield from papers


def _paper(report: Report, visit: Visit, newest: Mapping[str, int], words: _Words) -> _Paper:
    assert visit.work_order is not None  # without one nothing is sealed
    order = visit.work_order
    site, number = order.request.site, order.number or visit.id
    title = words.say(report.title)
    times = visit.state["visit"]
    is_superseded = report.revision < newest[report.visit_id]
    return _Paper(
        id=report.id,
        org_id=report.org_id,
        kept_as=paper_file(report.visit_id, report.revision, report.name),
        sha256=report.sha256,
        sealed_at=report.sealed_at,
        name=f"{safe_name(number) or visit.id}_r{report.revision}_{safe_name(title)}",
        cells=(
            number,
            order.request.customer.name,
            site.name,
            words.policy.words("job_types", order.job_type)[words.key],
            visit.engineer.name if visit.engineer is not None else "",
            _local(times["arrived_at"], site.zone),
            _local(times["left_at"], site.zone),
            str(report.revision),
            title,
            _local(report.sealed_at, words.zone),
            words.say(_VERDICTS.get(report.verdict, report.verdict)),
            words.say(N_("yes") if is_superseded else N_("no")),
        ),
    )


def safe_name(text: str) -> str:
    """``text`` as a piece of a file name: letters and digits of any script, ``-`` and ``_``."""
    whole = unicodedata.normalize("NFC", text)
    kept = (char if char.isalnum() or char in "-_" else " " for char in whole)
    return "-".join("".join(kept).split())[:NAME_CHARACTERS].strip("-_")


def _unique(name: str, taken: set[str]) -> str:
    """A file called ``name`` that none is called yet, as systems see it that know no capitals."""
    number = 1
    while (found := f"{name}{f'_{number}' if number > 1 else ''}.pdf").casefold() in taken:
        number += 1
    taken.add(found.casefold())
    return found


def _entry(name: str, at: datetime, zone: str) -> zipfile.ZipInfo:
    """A file in the ZIP, dated on the organisation's clock; readable for its owner's group."""
    entry = zipfile.ZipInfo(name, at.astimezone(ZoneInfo(zone)).timetuple()[:6])
    entry.external_attr = 0o644 << 16
    return entry


def _judged(paper: _Paper, pdf: bytes | None) -> tuple[str, str]:
    """The SHA-256 of the file, and why it cannot go along (a code of ``sync.problems``) or nothing.

    Of a file that is lost or damaged it is the one that is registered.
    """
    if pdf is None:
        return paper.sha256, "report.lost"
    found = digest_of(pdf)
    if found == paper.sha256 or is_registered(paper.id, found):
        return found, ""
    return paper.sha256, "report.damaged"


def _cell(text: str) -> str:
    """``text`` for a spreadsheet, which shows it and does not count it out."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _local(at: datetime | str | None, zone: str) -> str:
    if not at:
        return ""
    moment: Any = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
