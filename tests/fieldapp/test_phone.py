"""What a phone is given to install: the manifest, its pictures, and where it is not offered."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

LINK = re.compile(r'<link rel="(manifest|apple-touch-icon)" href="([^"]+)"')


def test_the_manifest_speaks_the_language_of_its_reader(app, client_of, erin):
    stranger = app.test_client()
    for language, shortcut in (("zh-CN", "同步"), ("en", "Sync")):
        answer = stranger.get("/app.webmanifest", headers={"Accept-Language": language})
        manifest = answer.get_json(force=True)
        assert (manifest["lang"], manifest["shortcuts"][-1]["name"]) == (language, shortcut)
        assert "Cookie" in answer.headers["Vary"]
    client = client_of(erin)
    chosen = client.get("/app.webmanifest", headers={"Accept-Language": "zh-CN"})
    assert chosen.get_json(force=True)["lang"] == "en"


def test_every_address_of_the_manifest_is_there(app):
    client = app.test_client()
    manifest = client.get("/app.webmanifest").get_json(force=True)
    icons = manifest["icons"] + [icon for each in manifest["shortcuts"] for icon in each["icons"]]
    for icon in icons:
        with client.get(icon["src"]) as answer:
            assert (answer.status_code, answer.mimetype) == (200, icon["type"])
            if icon["type"] == "image/png":
                width, height = Image.open(io.BytesIO(answer.data)).size
                assert icon["sizes"] == f"{width}x{height}"
    assert {icon.get("purpose") for icon in icons} == {None, "any", "maskable"}
    rules = {
        rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("engineer.")
    }
    assert manifest["id"] == manifest["start_url"] == "/visits"
    assert {each["url"] for each in manifest["shortcuts"]} <= rules


@pytest.mark.parametrize("path", ["/sign-in", "/welcome", "/visits", "/visits/install"])
def test_an_engineers_pages_can_be_installed(app, client_of, erin, path):
    client = app.test_client() if path == "/sign-in" else client_of(erin)
    links = dict(LINK.findall(client.get(path).text))
    assert set(links) == {"manifest", "apple-touch-icon"}
    for address in links.values():
        with client.get(address) as answer:
            assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/verify", "/verify/nothing", "/desk", "/nowhere"])
def test_a_customers_page_and_the_desk_cannot(client_of, dana, path):
    assert LINK.findall(client_of(dana).get(path).text) == []


def test_nobody_but_an_engineer_is_told_how_to_install(app, client_of, dana):
    assert app.test_client().get("/visits/install").status_code == 303
    assert client_of(dana).get("/visits/install").status_code == 403
