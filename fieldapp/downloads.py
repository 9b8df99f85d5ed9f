"""A sealed paper as a file to keep, at the desk and on the customer's page."""

from __future__ import annotations

import re

from flask import Response

from fieldapp.models import Report, Visit
from fieldapp.reports import read_paper
from sync.problems import Problem

_UNSAFE = re.compile("[^A-Za-z0-9_.-]+")


def paper_response(report: Report, visit: Visit) -> Response:
    """The bytes of ``report`` under a name that any system takes.

    Raises Problem("report.not-found") when the file is lost.
    """
    pdf = read_paper(report)
    if pdf is None:
        raise Problem("report.not-found")
    response = Response(pdf, mimetype="application/pdf")
    response.headers.set("Content-Disposition", "attachment", filename=file_name(report, visit))
    return response


def file_name(report: Report, visit: Visit) -> str:
    """What the file of a paper is called: number, revision and paper."""
    number = visit.work_order.number if visit.work_order is not None else None
    safe = _UNSAFE.sub("-", number or "").strip(".-")
    return f"{safe or visit.id}-{report.revision}-{report.name}.pdf"
