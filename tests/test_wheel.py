"""The wheel is the whole product: installed into an empty environment, far from the repository.

Building and installing ask the package index, so this needs a network or a filled cache.
"""

from __future__ import annotations

import http.cookiejar
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldapp.demo import ACCOUNTS

ROOT = Path(__file__).parent.parent
INSIDE = {"fieldapp": "fieldapp", "sync": "sync", "templates": "fieldapp/templates",
          "static": "fieldapp/static"}  # fmt: skip
NEEDED = [
    "fieldapp/templates/base.html",
    "fieldapp/templates/engineer/visit.html",
    "fieldapp/static/app.css",
    "fieldapp/static/phone/worker.js",
    "fieldapp/static/vendor/htmx.min.js",
    "fieldapp/policies/alarm.toml",
    "fieldapp/migrations/env.py",
    "fieldapp/migrations/versions/0001_first_release.py",
    "fieldapp/demo_data/work_orders.csv",
    "fieldapp/translations/zh_CN/LC_MESSAGES/messages.po",
    "sync/fonts/NotoSansSC-Regular.ttf",
    "sync/fonts/NotoSansSC-Bold.ttf",
    "sync/fonts/Names-Regular.ttf",
    "sync/fonts/Names-Bold.ttf",
    "sync/fonts/fonts.conf",
    "sync/fonts/LICENSE",
    "sync/fonts/SHA256SUMS",
]
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as anybody would."""
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)], folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``fieldapp`` of an environment with nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", str(wheel)], folder)
    return folder / "bin" / "fieldapp"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the repository."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def demo_url(command: Path, elsewhere: Path) -> Iterator[str]:
    """Where ``fieldapp demo`` serves its day."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with (elsewhere / "demo.txt").open("wb") as told:
        process = subprocess.Popen(
            [str(command), "demo", "--port", str(port)],
            cwd=elsewhere,
            env=environment(elsewhere),
            stdout=told,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not answers(port):
            said = (elsewhere / "demo.txt").read_text()
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def environment(folder: Path) -> dict[str, str]:
    """The environment of a newcomer: nothing points back to the repository."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "DATABASE_URL")
        and not name.startswith("FIELDAPP_")
    }
    return kept | {"FIELDAPP_INSTANCE": str(folder / "instance")}


def run(arguments: list[str], folder: Path) -> str:
    """What the command prints; AssertionError with all of it when it fails."""
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def answers(port: int) -> bool:
    """Whether anybody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5):
            return True
    except OSError:
        return False


def test_all_that_runs_is_in_the_wheel(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {
        f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, inside in INSIDE.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert set(NEEDED) <= here
    assert here <= names


def test_nothing_else_is_in_the_wheel(wheel: Path):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fieldapp", "sync"}


def test_liqiang_sees_his_day_in_the_installed_demo(demo_url: str):
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    opener = urllib.request.build_opener(cookies)
    account = next(each for each in ACCOUNTS if each.account == "liqiang")
    form = urllib.parse.urlencode({"account": account.account, "password": account.password})
    with opener.open(f"{demo_url}/sign-in", form.encode()) as answer:
        assert answer.url == f"{demo_url}/welcome"
    with opener.open(f"{demo_url}/visits") as answer:
        assert "上海浦江文创园管理有限公司" in answer.read().decode()
    with opener.open(f"{demo_url}/static/app.css") as answer:
        assert answer.headers["Content-Type"].startswith("text/css")


def test_the_installed_worker_is_whole(demo_url: str):
    with urllib.request.urlopen(f"{demo_url}/sw.js") as answer:
        script = answer.read().decode()
    assert script.startswith("/* build ")
    for module in ("phone/worker.js", "phone/templates.js", "phone/generated.js", "vendor/idb.js"):
        assert f"\n// {module}\n" in script


def test_the_doctor_finds_nothing_wrong(command: Path, demo_url: str, elsewhere: Path):
    said = run([str(command), "doctor"], elsewhere)
    assert "font NotoSansSC-Regular.ttf" in said
    assert "BAD" not in said
