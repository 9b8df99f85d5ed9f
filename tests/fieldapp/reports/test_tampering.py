"""Whatever somebody does to a paper, page and command say the same right thing of it."""

import io
import json
from datetime import UTC, datetime

import pikepdf
import pytest

from fieldapp import keys, timestamps
from fieldapp.cli import main
from sync import seal, seal_key
from tests.authority import Authority
from tests.fieldapp.reports.papers import noted, papers, row_of
from tests.phones import signature
from tests.tampering import cut_off, flipped, flips, page_replaced, parts, stripped

# what is wrong with a file is wrong on either database
pytestmark = pytest.mark.usefixtures("fresh_limits", "sqlite")

CODES = {"genuine": 0, "superseded": 1, "unproven": 1, "altered": 1, "not-ours": 2}


@pytest.fixture
def told(app, anybody, tmp_path):
    """``told(pdf)``: the outcome, for which page and command have one sentence and one word."""

    def ask(pdf):
        file = tmp_path / "paper.pdf"
        file.write_bytes(pdf)
        page = anybody.post("/verify", data={"file": (io.BytesIO(pdf), "paper.pdf")})
        assert page.status_code == 200
        runner = app.test_cli_runner()
        command = runner.invoke(main, ["verify", "--json", str(file)])
        outcome = json.loads(command.output)["outcome"]
        assert f'data-outcome="{outcome}"' in page.text
        assert command.exit_code == CODES[outcome]
        sentence = runner.invoke(main, ["verify", str(file)]).output.strip()
        assert sentence in " ".join(page.text.split())
        return outcome

    return ask


@pytest.fixture
def paper(app, signed):
    """The sealed paper of Erin's visit."""
    return papers(app, signed)[0][1]


def one_of(part):
    """A bit of that part of the file, among those that tests/sync/test_seal_check.py flips."""
    return lambda pdf: flipped(pdf, *next(flip[1:] for flip in flips(pdf) if flip[0] == part))


def forged(pdf, name="Brook Alarms"):
    """Sealed by Olly, who gives root and certificate the names of ours."""
    now = datetime.now(UTC)
    root = seal_key.make_root(name, from_at=now)
    key = seal_key.make_key(name, from_at=now, root=root)
    return seal.seal(pdf, key, reason="PG-1", location=name, signed_at=now)


def other_token(pdf):
    """With the code of a work order that nobody knows, wherever it stands."""
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(stripped(pdf))) as document:
        document.docinfo["/Keywords"] = pikepdf.String(f"work-order {'0' * 32} revision 1")
        document.save(out)
    return out.getvalue()


def emptied(pdf):
    where = parts(pdf)["cms"]
    return pdf[: where.start] + b"0" * len(where) + pdf[where.stop :]


ALTERED = {
    "a bit of what is signed": one_of("signed"),
    "a bit of its end": one_of("signed behind"),
    "a bit of the signature": one_of("cms"),
    "a bit of the padding": one_of("padding"),
    "a line behind the end": lambda pdf: pdf + b"% more\n",
    "a second end": lambda pdf: pdf + b"%%EOF\n",
    "another first page": page_replaced,
    "the seal cut off": cut_off,
    "the seal taken out": stripped,
    "the signature emptied": emptied,
    "a stranger's seal in place of ours": lambda pdf: forged(cut_off(pdf)),
    "a stranger's seal on a copy": lambda pdf: forged(stripped(pdf)),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_an_altered_paper_is_altered(paper, told, alter):
    touched = alter(paper)
    assert touched != paper
    assert told(touched) == "altered"


def test_the_paper_itself_is_genuine(paper, told):
    assert told(paper) == "genuine"


def test_an_older_revision_is_superseded(app, signed, paper, told, erin_phone, work):
    noted(erin_phone, signed)
    work()
    assert told(paper) == "superseded"
    assert told(papers(app, signed)[1][1]) == "genuine"
    assert told(flipped(paper, 5000)) == "altered"


def test_a_paper_whose_key_was_renewed_is_genuine(app, paper, told):
    with app.app_context():
        keys.renew_key(datetime.now(UTC))
    assert told(paper) == "genuine"
    assert told(flipped(paper, 5000)) == "altered"


def test_a_paper_with_a_later_timestamp_is_genuine_with_and_without(
    app, tmp_path, visit, erin_phone, work, told
):
    app.config["TIMESTAMP_URL"] = "http://127.0.0.1:1/"
    erin_phone.push(signature(erin_phone, visit))
    work()
    before = papers(app, visit)[0][1]
    with Authority(tmp_path) as authority, app.app_context():
        app.config["TIMESTAMP_URL"] = authority.url
        assert timestamps.add_timestamps() == 1
    after = papers(app, visit)[0][1]
    assert row_of(app, visit).revision == 1
    assert [told(pdf) for pdf in (before, after)] == ["genuine", "genuine"]
    assert told(flipped(after, len(before) + 500)) == "altered"


def not_ours():
    out = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(out)
    return out.getvalue()


def test_a_file_that_never_was_ours_is_not_ours(paper, told):
    for pdf in (not_ours(), forged(not_ours()), forged(other_token(paper)), b"no PDF", b""):
        assert told(pdf) == "not-ours"
