"""Every screen of the app as a person meets it, in both languages and at two widths.

``python tests/browser/screens.py FOLDER`` takes a picture of each;
tests/browser/test_looks.py walks the same way and judges what it sees.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[depth]) for depth in (2, 1, 0)]

from barcodes import picture, png
from day import DISPATCHER, ENGINEER, OTHER, Day
from phone import OPENING, Phone, draw_on
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from server import Server
from sqlalchemy import func, select
from werkzeug.serving import WSGIRequestHandler, make_server

from fieldapp import reports
from fieldapp.authority import prepare
from fieldapp.database import begin_writing
from fieldapp.models import Bundle, Report, Visit, db
from fieldapp.perform import unit
from fieldapp.trust import create_trust_page
from sync import catalogue
from sync.protocol import MEDIA_TYPE, PROTOCOL

LANGUAGES = ("zh_CN", "en")
WIDTHS = (390, 320)
HEIGHT = 844
SEAL_SECONDS = 60
TEN_YEARS = timedelta(days=3653)

LISTS = ("conduct", "closing")
VISITS = ("planned", "on-site", "conflict", "ready", "signed", "sent-back", "cancelled", "accepted",
          "unsigned", "return", "long", "changed")  # fmt: skip
FORMS = [kind.noun for kind in catalogue.KINDS if "engineer" in kind.roles]
ABOUT_AN_ENTRY = ("voids", "corrections")
NEVER_REFUSED = ("leavings",)
"""A form without a required field has no findings to show."""

EMPTIED = """async ([person, heard_at]) => {
  const db = await new Promise((resolve) => {
    const asked = indexedDB.open(`fieldapp-${person}`)
    asked.onsuccess = () => resolve(asked.result)
  })
  await new Promise((resolve) => {
    const tx = db.transaction("meta", "readwrite")
    tx.oncomplete = resolve
    tx.objectStore("meta").put({ heard_at, unsent: 2 }, "emptied")
  })
  db.close()
}"""
"""What the phone notes when it finds that its storage was emptied."""

Walked = Iterator[tuple[str, Page]]


class Walk:
    """One reader's way through all screens: yields each screen's name with the page showing it."""

    def __init__(self, browser: Browser, day: Day, language: str, width: int = WIDTHS[0]) -> None:
        self.browser = browser
        self.day = day
        self.server = day.server
        self.language = language
        self.size = {"width": width, "height": HEIGHT}
        self.errors: list[str] = []
        """What the pages wrote to the console as an error."""

    def screens(self) -> Walked:
        """All of them.  The server runs before and afterwards."""
        yield from self._before()
        phone = Phone(self.browser, self.server, self.language.replace("_", "-"))
        phone.page.set_viewport_size(self.size)
        self._listen(phone.page)
        phone.sign_in("liqiang")
        self._speak(phone.page)
        yield from self._work(phone)
        phone.close()
        yield from self._verify()
        yield from self._by_link()
        yield from self._desk()

    def _before(self) -> Walked:
        with self._browsing() as page:
            page.goto(f"{self.server.url}/sign-in")
            yield "sign-in", page
            page.fill("#account", "liqiang")
            page.fill("#password", "wrong")
            with page.expect_navigation():
                page.click("main button")
            yield "sign-in-wrong", page
            page.goto(f"{self.server.url}/nowhere")
            yield "problem-server", page
        with trust_page() as url, self._browsing() as page:
            page.goto(url)
            yield "trust", page
        with self._browsing(java_script_enabled=False, locale="zh-CN") as page:
            self._sign_in(page)
            yield "welcome", page
        with self._browsing(locale="zh-CN") as page:
            page.add_init_script("delete Navigator.prototype.serviceWorker")
            self._sign_in(page)
            expect(page.locator(".welcome-trouble")).to_be_visible()
            yield "welcome-trouble", page

    def _work(self, phone: Phone) -> Walked:
        page, visits = phone.page, self.day.visits
        yield "list", page
        yield from self._pin(phone)
        phone.open("/visits?q=WAH&show=finish")
        yield "list-found", page
        phone.open("/visits?q=nowhere&state=accepted")
        yield "list-nothing-found", page
        for name in VISITS:
            phone.open(f"/visits/{visits[name]}")
            yield f"visit-{name}", page
            if name == "conflict":
                page.click(".card summary")
                page.click(".sheet > summary")
                yield "visit-more", page
        for noun in FORMS:
            if noun in (*ABOUT_AN_ENTRY, "openings", "signatures"):
                continue
            for list_ in LISTS if noun == "steps" else ("",):
                path = f"/visits/{visits['conflict']}/{noun}"
                phone.open(path + (f"?list={list_}" if list_ else ""))
                name = "-".join(filter(None, ("form", noun, list_)))
                yield name, page
                if noun not in NEVER_REFUSED:
                    self._save_empty(page)
                    yield f"{name}-refused", page
        yield from self._camera(phone)
        phone.open("/visits/new")
        yield "form-openings", page
        self._save_empty(page)
        yield "form-openings-refused", page
        for name, value in OPENING.items():
            phone.fill(name, value)
        page.click("form.entry-form button.save")
        expect(page.locator("h1")).to_have_text(OPENING["customer"])
        yield "visit-opened", page
        entry = self.day.entries["measure"]
        for noun in ABOUT_AN_ENTRY:
            phone.open(f"/visits/{visits['conflict']}/{noun}?entry={entry}")
            yield f"form-{noun}", page
            self._save_empty(page)
            yield f"form-{noun}-refused", page
        phone.open(f"/visits/{visits['signed']}/notes")
        yield "form-notes-after-signature", page
        phone.open(f"/visits/{visits['signed']}/signatures")
        expect(page.locator(".qr svg")).to_be_visible()
        yield "handover-thanks", page
        phone.open(f"/visits/{visits['on-site']}/signatures")
        yield "handover-missing", page
        for name in ("ready", "long"):
            phone.open(f"/visits/{visits[name]}/signatures")
            yield f"handover-{name}", page
        self._save_empty(page)
        page.locator("details.witness").evaluate("(element) => { element.open = true }")
        yield "handover-refused", page
        phone.open(f"/visits/{visits['ready']}/refusals?by=customer")
        yield "handover-disagree", page
        self._save_empty(page)
        yield "handover-disagree-refused", page
        phone.open("/visits/sync")
        yield "sync", page
        phone.open("/visits/settings")
        yield "settings", page
        phone.open("/visits/install")
        expect(page.locator("details[open]")).to_have_count(1)
        yield "install", page
        for details in page.locator("main details").all():
            details.evaluate("(element) => { element.open = true }")
        yield "install-every-way", page
        phone.record(visits["ready"], "signature-requests", name="王丽", role="contact")
        expect(page.locator(".qr svg")).to_be_visible()
        yield "visit-link-to-sign", page
        phone.sync_now()
        yield from self._handed_over(phone)
        page.context.set_offline(True)
        self.server.stop()
        phone.open("/visits/00000000-0000-7000-8000-000000000000")
        yield "problem-offline", page
        phone.open(f"/visits/{visits['planned']}/notes")
        phone.fill("text", "地下室无信号，先记录。")
        phone.save(visits["planned"])
        yield "visit-offline", page
        phone.open("/visits")
        yield "list-offline", page
        page.click(".sync a")
        expect(page.locator("#unsent")).to_be_visible()
        page.click("#standing button.save")
        expect(page.locator("#standing .notice")).to_be_visible()
        yield "sync-offline", page
        page.context.set_offline(False)
        self.server.start()

    def _camera(self, phone: Phone) -> Walked:
        """Photos taken and drawn on, seen again, struck out; numbers scanned and compared."""
        page, visits = phone.page, self.day.visits
        phone.open(f"/visits/{visits['conflict']}/photos")
        page.set_input_files("[data-photo-file][multiple]", self._pictures(4))
        expect(page.locator("[data-photo-pick]")).to_have_count(4)
        expect(page.locator("form .save")).to_be_enabled()
        yield "form-photos-several", page
        page.click("[data-photo-mark]")
        expect(page.locator("[data-mark-canvas]")).to_be_visible()
        yield "form-photos-mark", page
        page.click("[data-mark-cancel]")
        for name in ("ready", "changed"):
            phone.open(f"/visits/{visits[name]}")
            page.locator(".shot").first.click()
            expect(page.locator("#taken")).to_be_visible()
            yield f"photo-{name}", page
        known = self.day.known("conflict")
        phone.open(f"/visits/{visits['conflict']}/swaps")
        for name, number in (("part_name", "?"), ("installed_serial", known["van"]),
                             ("removed_serial", known["asset"])):  # fmt: skip
            phone.fill(name, number)
            page.locator(f"[name={name}]").blur()
            expect(page.locator(f"#known-{name} span").first).to_be_visible()
        yield "form-swaps-known", page
        page.click("[data-scan=field-removed_serial]")
        expect(page.locator("[data-scan-sheet]")).to_be_visible()
        expect(page.locator("[data-scan-view] video")).to_be_hidden()
        yield "scan-without-camera", page
        plate = {"name": "plate.png", "mimeType": "image/png", "buffer": self._plate()}
        page.set_input_files("[data-scan-sheet] [type=file]", plate)  # type: ignore[arg-type]
        expect(page.locator("[data-scan-choices] button")).to_have_count(2)
        yield "scan-choices", page
        page.click("[data-scan-type]")

    @staticmethod
    def _plate() -> bytes:
        return png(picture(("Code128", "PN-1100"), ("Code128", "SN-2200")))

    @staticmethod
    def _pictures(count: int) -> Any:
        """Photos of bar codes: no two alike."""
        made = (png(picture(("QRCode", f"photo {number}"))) for number in range(count))
        return [{"name": "a.png", "mimeType": "image/png", "buffer": data} for data in made]

    def _handed_over(self, phone: Phone) -> Walked:
        """A visit that went to somebody else with a note that is still to be sent, and back."""
        page, visit = phone.page, self.day.visits["return"]
        busy = json.dumps({"protocol": PROTOCOL, "problem": "server.busy"})
        page.context.route(
            "**/sync/push",
            lambda route: route.fulfill(status=503, content_type=MEDIA_TYPE, body=busy),
        )
        phone.record(visit, "notes", text="备机已装车。")
        self._assign(visit, OTHER)
        phone.sync_now()
        yield "sync-busy", page
        phone.open("/visits")
        expect(page.locator("#handed-over")).to_be_visible()
        yield "list-handed-over", page
        phone.open(f"/visits/{visit}")
        yield "visit-handed-over", page
        phone.open(f"/visits/{visit}/notes")
        yield "form-handed-over", page
        self._assign(visit, ENGINEER)
        page.context.unroute("**/sync/push")
        phone.sync_now()
        page.evaluate(EMPTIED, [self._engineer_id(), int(time.time() * 1000) - 3_600_000])
        phone.open("/visits")
        expect(page.locator("button[name=read]")).to_be_visible()
        yield "list-emptied", page
        page.click("button[name=read]")
        expect(page.locator("button[name=read]")).to_have_count(0)

    def _engineer_id(self) -> str:
        with self.server.office():
            return self.server.person(ENGINEER).id

    def _assign(self, visit: str, account: str) -> None:
        with self.server.office():
            chen, engineer = self.server.person(DISPATCHER), self.server.person(account)
            with unit(chen.org_id, datetime.now(UTC)) as office:
                office.perform("assignment", visit, chen, {"engineer": engineer.id})

    def _pin(self, phone: Phone) -> Walked:
        """The PIN chosen, the phone locked by it, and handed over; then as without one."""
        page, visit = phone.page, self.day.visits["ready"]
        phone.open("/visits/pin")
        yield "pin", page
        page.fill("#pin", "12")
        page.click("button.save")
        expect(page.locator(".finding")).to_be_visible()
        yield "pin-refused", page
        for name in ("pin", "repeat"):
            page.fill(f"#{name}", "2580")
        page.click("button.save")
        expect(page.locator("#has-pin")).to_be_visible()
        yield "pin-chosen", page
        phone.open(f"/visits/{visit}/signatures")
        yield "handover-locked", page
        page.click(".leave")
        expect(page.locator(".lock")).to_be_visible()
        yield "handover-lock", page
        phone.note("liqiang", used_at=0)
        page.goto(f"{self.server.url}/visits")
        yield "lock", page
        page.fill("#pin", "1")
        page.click("button.save")
        expect(page.locator(".finding")).to_be_visible()
        yield "lock-refused", page
        phone.note("liqiang", wiped={"at": 1}, handover=None)
        page.goto(f"{self.server.url}/visits/revoked")
        yield "revoked", page
        phone.note("liqiang", wiped=None, pin=None, pin_later=True)
        phone.open("/visits")

    def _verify(self) -> Walked:
        with self.server.office():
            row = db.session.scalars(
                select(Report)
                .where(Report.visit_id == self.day.visits["signed"])
                .order_by(Report.revision)
            ).first()
            assert row is not None, "no paper was sealed"
            token = row.token
            pdf = self._pdf(row)
        with self._browsing() as page:
            for name, path in (
                ("verify", "/verify"),
                ("verify-known", f"/verify/{token}"),
                ("verify-on-its-way", f"/verify/{'0' * 32}"),
                ("verify-unknown", "/verify/nothing"),
            ):
                page.goto(self.server.url + path)
                yield name, page
            for name, form in (("rating", "#rating"), ("question", "#question")):
                page.goto(f"{self.server.url}/verify/{token}")
                with page.expect_navigation():
                    page.click(f"{form} button")
                yield f"verify-{name}-refused", page
            page.locator("#rating .choice").last.click()
            page.fill("#opinion", "师傅很耐心，讲解清楚。")
            with page.expect_navigation():
                page.click("#rating button")
            page.fill("#text", "换下的主机什么时候送回？")
            page.fill("#reach", "139-0000-7777")
            with page.expect_navigation():
                page.click("#question button")
            yield "verify-said", page
            with self._long_ago(token):
                page.goto(f"{self.server.url}/verify/{token}")
                yield "verify-over", page
            for name, data in (
                ("genuine", pdf),
                ("altered", pdf + b"\n% x"),
                ("not-ours", b"%PDF-"),
            ):
                page.goto(f"{self.server.url}/verify")
                file: Any = {"name": "a.pdf", "mimeType": "application/pdf", "buffer": data}
                page.set_input_files("#file", file)
                with page.expect_navigation():  # else it is judged before its styles are here
                    page.click("main button")
                yield f"verify-{name}", page

    def _by_link(self) -> Walked:
        """What who is to sign by link sees: not here yet, the pad, what is missing, thanks."""
        visit = self.day.visits["ready"]
        with self.server.office():
            entries = db.session.get_one(Visit, visit).state["entries"]
            asked = [entry for entry in entries if entry["kind"] == "signature-request"]
            token = asked[-1]["value"]["token"]
        with self._browsing() as page:
            page.goto(f"{self.server.url}/sign/{visit}/{'0' * 32}")
            yield "sign-not-here", page
            page.goto(f"{self.server.url}/sign/{visit}/{token}")
            yield "sign", page
            page.click("button.save")
            expect(page.locator(".finding").first).to_be_visible()
            yield "sign-refused", page
            draw_on(page)
            with page.expect_navigation():
                page.click("button.save")
            yield "sign-thanks", page

    @contextmanager
    def _long_ago(self, token: str) -> Iterator[None]:
        """The papers of ``token`` were sealed ten years ago."""
        self._seal_earlier(token, TEN_YEARS)
        try:
            yield
        finally:
            self._seal_earlier(token, -TEN_YEARS)

    def _seal_earlier(self, token: str, by: timedelta) -> None:
        with self.server.office():
            for row in db.session.scalars(select(Report).where(Report.token == token)):
                row.sealed_at -= by
            db.session.commit()

    def _desk(self) -> Walked:
        """The office's pages, on a phone: the width of the desk is in test_desk.py."""
        with self.server.office():
            order = db.session.get_one(Visit, self.day.visits["conflict"]).work_order
            contact, customer = order.request.contact_id, order.request.customer_id
        with self._browsing(locale="zh-CN") as page:
            self._sign_in(page, "chen", "**/desk")
            for name, path in (
                ("desk-board", "/desk"),
                ("desk-customers", "/desk/customers?q=e"),
                ("desk-customer", f"/desk/customers/{customer}"),
                ("desk-contact", f"/desk/contacts/{contact}"),
                ("desk-new-work-order", "/desk/work-orders/new"),
                ("desk-work-order", f"/desk/work-orders/{order.id}"),
                ("desk-inbox", "/desk/inbox"),
                ("desk-visit", f"/desk/visits/{self.day.visits['conflict']}"),
                ("desk-visit-signed", f"/desk/visits/{self.day.visits['signed']}"),
                ("desk-visit-changed", f"/desk/visits/{self.day.visits['changed']}"),
                ("desk-phones", "/desk/phones"),
                ("desk-import", "/desk/phones/import"),
            ):
                page.goto(self.server.url + path)
                for details in page.locator("main details").all():
                    details.evaluate("(element) => { element.open = true }")
                yield name, page
            yield from self._bundles(page)
            page.goto(f"{self.server.url}/desk/inbox")
            page.locator("article summary").first.click()
            page.locator("article details[open] button").click()
            expect(page.locator(".finding", has_text=re.compile("必填|missing"))).to_be_visible()
            yield "desk-dismissal-refused", page

    def _bundles(self, page: Page) -> Walked:
        """A month's papers in one file: before, done, refused, and as it is while it is made."""
        page.goto(f"{self.server.url}/desk/bundles")
        yield "desk-bundles", page
        before = page.locator("article").count()
        page.click("section button")
        expect(page.locator("article")).to_have_count(before + 1)
        newest = page.locator("article").first  # it becomes ready without anybody asking
        expect(newest.locator("a[download]")).to_be_visible(timeout=SEAL_SECONDS * 1000)
        yield "desk-bundles-ready", page
        page.locator("#month option").evaluate_all("(all) => all.forEach((e) => { e.value = '?' })")
        page.click("section button")
        expect(page.locator(".finding")).to_be_visible()
        yield "desk-bundles-refused", page
        for state, is_lost in (("waiting", False), ("running", False), ("running", True)):
            self._let_bundle_be(state, is_lost)
            page.goto(f"{self.server.url}/desk/bundles")
            yield f"desk-bundles-{'lost' if is_lost else state}", page
        self._let_bundle_be("ready", False)

    def _let_bundle_be(self, state: str, is_lost: bool) -> None:
        with self.server.office():
            begin_writing()
            bundle = db.session.scalars(select(Bundle).order_by(Bundle.id.desc())).first()
            assert bundle is not None
            bundle.state, bundle.done, bundle.count = state, 31, 120
            bundle.seen_at = datetime.now(UTC) - (TEN_YEARS if is_lost else timedelta())
            db.session.commit()

    def _pdf(self, row: Report) -> bytes:
        data = reports.read_paper(row)
        assert data is not None
        return data

    @contextmanager
    def _browsing(self, **options: Any) -> Iterator[Page]:
        """A stranger's page in the walk's language."""
        given: dict[str, Any] = {"viewport": self.size, "locale": self.language.replace("_", "-")}
        context = self.browser.new_context(**given | options)
        try:
            page = context.new_page()
            self._listen(page)
            yield page
        finally:
            context.close()

    def _listen(self, page: Page) -> None:
        def note(message: ConsoleMessage) -> None:
            # The browser itself notes each answer with a status of 400 and more.
            if message.type == "error" and "Failed to load resource" not in message.text:
                self.errors.append(f"{page.url}: {message.text}")

        page.on("console", note)
        page.on("pageerror", lambda error: self.errors.append(f"{page.url}: {error}"))

    def _speak(self, page: Page) -> None:
        """Let the page speak the walk's language, whatever its person chose before."""
        asked = "en" if self.language == "en" else "zh-CN"
        html = page.locator("html")
        if html.get_attribute("lang") != asked:
            page.click(".language button")
            expect(html).to_have_attribute("lang", asked)

    def _sign_in(self, page: Page, account: str = "liqiang", home: str = "**/welcome") -> None:
        page.goto(f"{self.server.url}/sign-in")
        self._speak(page)
        page.fill("#account", account)
        page.fill("#password", self.server.accounts[account].password)
        page.click("main button")
        page.wait_for_url(home)

    @staticmethod
    def _save_empty(page: Page) -> None:
        """Save a form with nothing in it; it comes back with findings."""
        page.eval_on_selector_all(
            "form.entry-form textarea, form.entry-form [type=text], form.entry-form [type=datetime-local]",
            "(controls) => controls.forEach((each) => { each.value = '' })",
        )
        page.click("form.entry-form button.save")
        expect(page.locator(".finding").first).to_be_visible()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def trust_page() -> Iterator[str]:
    """Where the page that offers a machine's root certificate is, meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        address = [IPv4Address("192.168.1.20")]
        authority = prepare(Path(folder), address, ["depot.local"], datetime.now(UTC))
    app = create_trust_page(authority, "https://192.168.1.20:8000")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()


def ready_server(folder: Path) -> Day:
    """A server on ``folder`` with the day on it and the papers of its signatures sealed."""
    server = Server(folder)
    day = Day(server)
    server.start()
    deadline = time.monotonic() + SEAL_SECONDS
    while not _papers(server, day.visits["signed"]):
        assert time.monotonic() < deadline, "no paper was sealed"
        time.sleep(0.2)
    return day


def _papers(server: Server, visit: str) -> int:
    with server.office():
        return (
            db.session.scalar(
                select(func.count()).select_from(Report).where(Report.visit_id == visit)
            )
            or 0
        )


def _take_pictures(folder: Path, chosen: Callable[[str], Any]) -> None:
    executable = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        day = ready_server(Path(name) / "instance")
        try:
            for language in LANGUAGES:
                for width in WIDTHS:
                    into = folder / f"{language}-{width}"
                    into.mkdir(parents=True, exist_ok=True)
                    for screen, page in Walk(browser, day, language, width).screens():
                        if chosen(screen):
                            _picture(page, into / f"{screen}.png")
        finally:
            day.server.stop()


def _picture(page: Page, path: Path) -> None:
    # Playwright hides the caret with a style that our pages refuse.
    page.screenshot(path=path, full_page=True, caret="initial")


if __name__ == "__main__":
    _take_pictures(Path(sys.argv[1]), re.compile(sys.argv[2] if len(sys.argv) > 2 else "").search)
