"""What a sealed paper says, read back from its own file: the data it carries as ``visit.json``."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import pikepdf

from fieldapp import blobs, formats
from fieldapp.models import Organisation, Report
from fieldapp.policies import load_policy
from fieldapp.reports import paper_file
from sync.operation import iso
from sync.paper_view import PaperView
from sync.verdict import digest_of

if TYPE_CHECKING:
    from sync.report import Paper

READ = 32
"""Papers whose data are kept in memory: pages are looked at several times, papers never change."""


class _Lost(Exception):
    """The file is not there any more, or is not the one that was sealed."""


def said_in(report: Report) -> dict[str, Any] | None:
    """The ``visit.json`` of a sealed paper, not to be changed; None when its file is lost."""
    file = paper_file(report.visit_id, report.revision, report.name)
    try:
        return _said(report.org_id, file, report.sha256)
    except _Lost:
        return None


def view_of(
    report: Report,
    said: Mapping[str, Any],
    owner: Organisation,
    notices: Mapping[str, str | None],
    language: str,
) -> PaperView:
    """The facts that ``report`` ``said``, as its own page reads them, in the words of ``language``.

    ``notices`` are the numbers of loaner notices by entry.
    """
    order = said["work_order"]
    paper = {
        "name": report.name,
        "language": language,
        "revision": report.revision,
        "previous_sha256": said["previous_sha256"],
        "previous_pdf": None,
        "token": report.token,
        "verify_url": "",
        "sealed_at": iso(int(report.sealed_at.timestamp() * 1000)),
        "organisation": {"name": owner.name, "phone": owner.phone, "address": "", "logo": None},
        "snapshot": said["snapshot"],
        "signatures": _signatures(said),
        "refusal": None,  # it stands among the entries
        "corrected": said["corrected"],
        "addenda": said["addenda"],
        "photos": {},
        "words": load_policy(owner.policy).vocabulary,
        "notices": dict(notices),
        "given": {"id": order["id"], "number": order["number"], "request": None},
    }
    return PaperView(cast("Paper", paper), set(), False, formats.money)


def _signatures(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who signed; papers of the first release knew only one."""
    if "signatures" in said:
        return list(said["signatures"])
    return [said["signature"]] if said["signature"] else []


@lru_cache(maxsize=READ)
def _said(org_id: str, file: str, sha256: str) -> dict[str, Any]:
    pdf = blobs.read(org_id, file)
    if pdf is None or digest_of(pdf) != sha256:
        raise _Lost
    with pikepdf.open(io.BytesIO(pdf)) as document:
        data: dict[str, Any] = json.loads(
            document.attachments["visit.json"].get_file().read_bytes()
        )
    return data
