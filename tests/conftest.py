"""Fixtures that several tests share: a server with its people, a real browser, static files."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page, sync_playwright

from fieldapp import create_app
from fieldapp.models import Organisation, db
from tests import cast, phones
from tests.phones import Phone, Somebody

ROOT = Path(__file__).parent.parent

# No test asserts a time, hypothesis's own deadlines included: a busy machine is no fault.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, one a module: its driver keeps an event loop running while it is open."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--no-first-run",
            ],
        )
        yield browser
        browser.close()


class _StaticFiles(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
    }

    def do_GET(self) -> None:
        if self.path != "/":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>modules</title>")
        return None

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a failing import fails its test."""


@pytest.fixture(scope="session")
def static_url() -> Iterator[str]:
    """Where static/ is served: ``http://127.0.0.1:<any free port>``, without a slash."""
    handler = functools.partial(_StaticFiles, directory=str(ROOT / "static"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def module_page(chromium: Browser, static_url: str) -> Iterator[Page]:
    """An empty page that can ``await import("/phone/format.js")``."""
    page = chromium.new_page()
    page.goto(static_url)
    yield page
    page.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Any]:
    """A new installation: no application context is left open, as between requests."""
    app = create_app({"INSTANCE": str(tmp_path)})
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def organisation(app: Any) -> str:
    """The id of the organisation that everybody but Olly works for."""
    with app.app_context():
        id_ = cast.make_organisation().id
        db.session.commit()
    return str(id_)


def _person(app: Any, account: str, org_id: str) -> Somebody:
    with app.app_context():
        organisation = db.session.get_one(Organisation, org_id)
        row = cast.make_person(account, organisation, password_hash=phones.password_hash())
        db.session.commit()
        return Somebody.of(row)


@pytest.fixture
def erin(app: Any, organisation: str) -> Somebody:
    return _person(app, "erin", organisation)


@pytest.fixture
def eli(app: Any, organisation: str) -> Somebody:
    return _person(app, "eli", organisation)


@pytest.fixture
def dana(app: Any, organisation: str) -> Somebody:
    return _person(app, "dana", organisation)


@pytest.fixture
def olly(app: Any) -> Somebody:
    """Olly works for somebody else, in the field and at the desk."""
    with app.app_context():
        row = cast.make_olly()
        row.password_hash = phones.password_hash()
        db.session.commit()
        return Somebody.of(row)


@pytest.fixture
def visit_of(app: Any, organisation: str, dana: Somebody) -> Callable[..., str]:
    """``visit_of(erin)``: the id of a new visit at Cleo's that Dana assigned to her."""
    places: list[cast.Place] = []

    def make(engineer: Somebody, number: str = "PG-1", **values: Any) -> str:
        with app.app_context():
            if not places:
                places.append(cast.make_place(db.session.get_one(Organisation, organisation)))
            place = cast.Place(*(db.session.merge(row) for row in vars(places[0]).values()))
            visit_id = str(cast.make_visit(place, number, **values).id)
            db.session.commit()
        phones.at_desk(
            app,
            dana,
            visit_id,
            ("fault", {"text": "dead since 08:40", "level": "major"}),
            ("assignment", {"engineer": engineer.id}),
        )
        return visit_id

    return make


@pytest.fixture
def visit(visit_of: Callable[..., str], erin: Somebody) -> str:
    """The id of Erin's visit."""
    return visit_of(erin)


@pytest.fixture
def client_of(app: Any) -> Callable[..., Any]:
    """``client_of(erin)``: a browser in which she is signed in, in English unless told."""
    return functools.partial(phones.client_of, app)


@pytest.fixture
def phone_of(app: Any) -> Callable[[Somebody], Phone]:
    """``phone_of(erin)``: her phone, enrolled."""
    return functools.partial(Phone, app)


@pytest.fixture
def erin_phone(erin: Somebody, phone_of: Callable[[Somebody], Phone]) -> Phone:
    return phone_of(erin)
