"""Fixtures that several tests share: a server with its people, a real browser, static files."""

from __future__ import annotations

import contextlib
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

from fieldapp.models import Organisation, db
from tests import cast, phones
from tests.databases import Databases, PostgresDatabases, SqliteDatabases
from tests.phones import Phone, Somebody
from tests.postgres import Cluster

ROOT = Path(__file__).parent.parent
CASES_AGAIN = 2
"""How many cases of one test run on PostgreSQL too."""

# No test asserts a time, hypothesis's own deadlines included: a busy machine is no fault.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--database`` says where the tables of the tests are."""
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="Database of the tests; with postgresql only those that use a database run.",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not about the chosen database.

    A test that asks for ``sqlite`` or ``postgresql`` is about that one; on PostgreSQL whatever
    needs no database has nothing to show again, and of a test with many cases a few are enough:
    they differ in what is entered, hardly ever in what the database is asked.
    """
    chosen = config.getoption("--database")
    other = "sqlite" if chosen == "postgresql" else "postgresql"
    kept, left = [], []
    for item in items:
        needs = getattr(item, "fixturenames", ())
        is_meant = other not in needs and (chosen == "sqlite" or "databases" in needs)
        (kept if is_meant else left).append(item)
    if chosen == "postgresql":
        few = {item for cases in _tests(kept).values() for item in _spread(cases)}
        left += [item for item in kept if item not in few]
        kept = [item for item in kept if item in few]
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def _tests(items: list[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """The cases of each test, in their order."""
    found: dict[str, list[pytest.Item]] = {}
    for item in items:
        found.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return found


def _spread(cases: list[pytest.Item]) -> list[pytest.Item]:
    """The first and the last; all of a test that is about PostgreSQL."""
    if len(cases) <= CASES_AGAIN or "postgresql" in getattr(cases[0], "fixturenames", ()):
        return cases
    return [cases[number * (len(cases) - 1) // (CASES_AGAIN - 1)] for number in range(CASES_AGAIN)]


@pytest.fixture(scope="session")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Databases]:
    """Where tests get their databases from: every fixture that makes an application asks here."""
    if request.config.getoption("--database") == "sqlite":
        yield SqliteDatabases(tmp_path_factory.mktemp("databases"))
        return
    with Cluster() as cluster, contextlib.closing(PostgresDatabases(cluster)) as found:
        yield found


@pytest.fixture
def sqlite(databases: Databases) -> Databases:
    """The databases of a test that is about SQLite."""
    return databases


@pytest.fixture
def postgresql(databases: Databases) -> Databases:
    """The databases of a test that is about PostgreSQL."""
    return databases


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
def app(databases: Databases, tmp_path: Path) -> Iterator[Any]:
    """A new installation: no application context is left open, as between requests."""
    with databases.application(tmp_path) as app:
        yield app


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
