"""What a phone fetches from the sign-in page to its first page without signal."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import brotli
from flask.testing import FlaskClient

from fieldapp import create_app
from fieldapp.demo import make_demo
from fieldapp.models import db
from fieldapp.offline.build import shell_paths
from sync import protocol

QUALITY = 11


def kilobytes() -> dict[str, float]:
    """Bodies in KB: ``brotli`` at its best quality, ``sent`` as the server sends them today.

    ``worker``, ``shell`` and ``pages`` are the parts of ``brotli``; the first pull of the demo day
    counts as a page.  Each file counts once, pictures as they are; headers do not count.
    """
    sums = dict.fromkeys(("brotli", "sent", "worker", "shell", "pages"), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        app = create_app({"INSTANCE": str(Path(folder))})
        with app.app_context():
            db.create_all()
            accounts = make_demo(datetime.now(UTC))
            db.session.remove()
        engineer = next(each for each in accounts if each.role == "engineer")
        client = app.test_client()
        for part, plain, sent in _answers(client, engineer.account, engineer.password):
            best = min(len(brotli.compress(plain, quality=QUALITY)), len(plain)) / 1000
            sums[part] += best
            sums["brotli"] += best
            sums["sent"] += sent / 1000
        with app.app_context():
            db.engine.dispose()
    return sums


def _answers(client: FlaskClient, account: str, password: str) -> Iterator[tuple[str, bytes, int]]:
    """Part, plain bytes and the number of bytes sent, of everything in its order."""
    welcome = "/sign-in"
    yield "pages", *_both(client, welcome)
    form = {"account": account, "password": password}
    answer = client.post("/sign-in", data=form, follow_redirects=True)
    assert answer.status_code == 200
    yield "pages", answer.data, len(answer.data)
    yield "worker", *_both(client, "/sw.js")
    for path in shell_paths():
        yield "shell", *_both(client, path)
    enrolled = client.post("/sync/devices")
    credential = {"Authorization": f"Device {enrolled.get_json(force=True)['credential']}"}
    pulled = client.post(
        "/sync/pull",
        json={"protocol": protocol.PROTOCOL, "cursor": None, "policy": None},
        headers=credential,
        content_type=protocol.MEDIA_TYPE,
    )
    assert pulled.status_code == 200, pulled.data
    yield "pages", pulled.data, len(pulled.data)


def _both(client: FlaskClient, path: str) -> tuple[bytes, int]:
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    sent = client.get(path, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert plain.status_code == sent.status_code == 200, path
    return plain.data, len(sent.data)
