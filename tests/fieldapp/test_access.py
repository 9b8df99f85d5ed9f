"""Who may sign in, what each may see, and what another site's page cannot do."""

import time
from datetime import UTC, datetime

import pytest

from fieldapp import access, phones
from fieldapp.access import check_password, enrol_device, hash_password, local_path
from fieldapp.headers import DECODER, DECODER_POLICY, LINK_HEADERS, PAGE_HEADERS
from fieldapp.models import Device, Person, db
from sync.protocol import MEDIA_TYPE
from tests.phones import PAGE, PASSWORD, at_desk


def sign_in(client, account, password=PASSWORD, **headers):
    return client.post(
        "/sign-in", data={"account": account, "password": password}, headers=PAGE | headers
    )


def refused_page(response, status, code):
    assert response.status_code == status
    assert response.mimetype == "text/html"
    assert code in response.text


# Signing in and out


def test_erin_signs_in_and_her_phone_is_prepared(app, erin):
    client = app.test_client()
    response = sign_in(client, "erin")
    assert (response.status_code, response.location) == (303, "/welcome")
    assert client.get("/visits").status_code == 200
    assert client.get("/sign-in").location == "/visits"


def test_dana_signs_in_to_the_desk(app, dana):
    client = app.test_client()
    assert sign_in(client, " dana ").location == "/desk"
    assert client.get("/sign-in").location == "/desk"


@pytest.mark.parametrize(
    ("account", "password"),
    [("erin", "wrong"), ("erin", ""), ("erin", PASSWORD + " "), ("nobody", PASSWORD), ("", ""),
     ("x" * 5000, "y" * 5000), ("erin\0", PASSWORD), ("ERIN", PASSWORD)],
)  # fmt: skip
def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(app, erin, account, password):
    client = app.test_client()
    response = sign_in(client, account, password, **{"Accept-Language": "en"})
    assert response.status_code == 401
    assert "Account or password is wrong" in response.text
    assert "Set-Cookie" not in response.headers
    assert client.get("/visits").location == "/sign-in"


def test_an_unknown_account_takes_as_long_as_a_known_one(app, erin, monkeypatch):
    checked = []

    class Hasher:
        def verify(self, hash_, _text):
            checked.append(hash_.split("$")[:4])
            raise access.VerificationError

    monkeypatch.setattr(access, "_hasher", Hasher())
    assert sign_in(app.test_client(), "erin").status_code == 401
    assert sign_in(app.test_client(), "nobody").status_code == 401
    assert checked[0] == checked[1]  # the same work: algorithm, version and cost


def test_somebody_who_left_cannot_sign_in_and_is_out_at_once(app, erin, client_of):
    client = client_of(erin)
    assert client.get("/visits").status_code == 200
    with app.app_context():
        db.session.get_one(Person, erin.id).left_at = datetime.now(UTC)
        db.session.commit()
    assert client.get("/visits").location == "/sign-in"
    assert sign_in(app.test_client(), "erin").status_code == 401


def test_somebody_without_a_password_cannot_sign_in(app, erin):
    with app.app_context():
        db.session.get_one(Person, erin.id).password_hash = "!"
        db.session.commit()
    assert sign_in(app.test_client(), "erin", "!").status_code == 401


def test_a_password_is_not_kept_in_the_clear():
    kept = hash_password("swan")
    assert "swan" not in kept
    assert kept.startswith("$argon2id$")
    person = Person(password_hash=kept)
    assert check_password(person, "swan")
    assert not check_password(person, "goose")
    assert not check_password(None, "swan")


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "Too many attempts"), ("zh-CN", "尝试次数过多")]
)
def test_too_many_attempts_are_told_to_wait(app, erin, language, sentence):
    app.config["SIGN_IN_PER_MINUTE"] = 3
    client = app.test_client()
    headers = {"Accept-Language": language}
    assert [sign_in(client, "erin", "wrong", **headers).status_code for _ in range(3)] == [401] * 3
    response = sign_in(client, "erin", PASSWORD, **headers)
    refused_page(response, 429, "access.too-often")
    assert sentence in response.text or language != "en"
    assert client.get("/sign-in").status_code == 200


def test_a_session_ends_after_its_days(app, erin, client_of):
    client = client_of(erin)
    for days, status in ((29, 200), (31, 303)):
        with client.session_transaction() as session:
            session["since"] = int(time.time()) - days * 24 * 3600
        assert client.get("/visits").status_code == status


def test_revoking_a_phone_ends_the_sessions_of_its_person(app, erin, eli, client_of, phone_of):
    before, of_eli, phone = client_of(erin), client_of(eli), phone_of(erin)
    with app.app_context():
        by = db.session.get_one(Person, erin.id)
        phones.revoke(by, phone.device, datetime.now(UTC))
    assert before.get("/visits").location == "/sign-in"
    headers = PAGE | {"Content-Type": MEDIA_TYPE}
    refused = before.post("/sync/devices", data="{}", headers=headers)
    assert (refused.status_code, refused.json["problem"]) == (401, "access.sign-in")
    assert of_eli.get("/visits").status_code == 200
    assert client_of(erin).get("/visits").status_code == 200


def test_the_cookie_is_for_this_site_only(app, erin):
    cookie = sign_in(app.test_client(), "erin").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires" in cookie


def test_a_forged_session_is_nobodys(app, erin):
    client = app.test_client()
    client.set_cookie("fieldapp", "eyJwZXJzb24iOiJ4In0.Zg.forged")
    assert client.get("/visits").location == "/sign-in"


def test_signing_in_leaves_nothing_of_who_was_here_before(app, erin, eli, client_of):
    client = client_of(erin)
    with client.session_transaction() as session:
        session["secret"] = "erin's"
    sign_in(client, "eli")
    with client.session_transaction() as session:
        assert session["person"] == eli.id
        assert "secret" not in session


def test_signing_out_is_final_and_needs_a_button(client_of, erin):
    client = client_of(erin)
    assert client.get("/sign-out").status_code == 405
    assert client.get("/visits").status_code == 200
    assert client.post("/sign-out", headers=PAGE).location == "/sign-in"
    assert client.get("/visits").location == "/sign-in"


def test_an_answer_on_its_way_does_not_undo_a_sign_out(app, erin):
    client = app.test_client()
    sign_in(client, "erin")
    assert "Set-Cookie" not in client.get("/visits").headers


def test_the_language_chosen_before_signing_in_stays(app, erin):
    client = app.test_client()
    client.post("/language", data={"language": "zh_CN", "back": "/sign-in"}, headers=PAGE)
    sign_in(client, "erin")
    assert '<html lang="zh-CN">' in client.get("/visits").text


def test_a_language_stays_with_its_person_on_every_device(app, client_of, erin):
    client_of(erin).post("/language", data={"language": "zh_CN", "back": "/"}, headers=PAGE)
    elsewhere = app.test_client()
    sign_in(elsewhere, "erin")
    assert '<html lang="zh-CN">' in elsewhere.get("/visits").text


def test_a_language_does_not_go_to_who_signs_in_next(app, erin, eli):
    client = app.test_client()
    sign_in(client, "erin")
    client.post("/language", data={"language": "zh_CN", "back": "/"}, headers=PAGE)
    sign_in(client, "eli")
    assert '<html lang="en">' in client.get("/visits").text


def test_a_look_stays_with_the_device_whoever_signs_in(app, erin, eli):
    client = app.test_client()
    sign_in(client, "erin")
    client.post("/visits/display", data={"display": "dark", "back": "/visits"}, headers=PAGE)
    dark = '<link rel="stylesheet" href="/static/display/dark.css" media="all">'
    assert dark in client.get("/visits").text
    client.post("/sign-out", headers=PAGE)
    assert dark in client.get("/sign-in").text
    sign_in(client, "eli")
    assert dark in client.get("/visits").text


@pytest.mark.parametrize("display", ["neon", "DARK", " ", "../dark"])
def test_an_unknown_look_changes_nothing(client_of, erin, display):
    client = client_of(erin)
    client.post("/display", data={"display": "contrast", "back": "/"}, headers=PAGE)
    client.post("/display", data={"display": display, "back": "/"}, headers=PAGE)
    assert 'display/contrast.css" media="all"' in client.get("/visits").text


def test_an_unknown_language_changes_nothing(client_of, erin):
    client = client_of(erin)
    client.post("/language", data={"language": "xx", "back": "/"}, headers=PAGE)
    assert '<html lang="en">' in client.get("/visits").text


# Roles and scope


def test_an_engineer_does_not_get_to_the_desk(client_of, erin):
    refused_page(client_of(erin).get("/desk"), 403, "access.role")


def test_a_dispatcher_does_not_get_to_the_visits(client_of, dana):
    refused_page(client_of(dana).get("/visits"), 403, "access.role")
    assert client_of(dana).get("/desk").status_code == 200


@pytest.mark.parametrize("path", ["", "/notes", "/signatures", f"/photos/{'a' * 64}"])
def test_olly_cannot_open_erins_visit(client_of, olly, visit, path):
    refused_page(client_of(olly).get(f"/visits/{visit}{path}"), 404, "visit.not-found")


def test_olly_cannot_write_to_erins_visit(client_of, olly, visit, app):
    client = client_of(olly)
    response = client.post(f"/visits/{visit}/notes", data={"text": "I was here"}, headers=PAGE)
    refused_page(response, 404, "visit.not-found")
    assert client.get(f"/desk/visits/{visit}").status_code == 404


def test_eli_cannot_open_erins_visit_until_it_is_his(app, client_of, eli, dana, erin, visit):
    assert client_of(eli).get(f"/visits/{visit}").status_code == 404
    at_desk(app, dana, visit, ("assignment", {"engineer": eli.id}))
    assert client_of(eli).get(f"/visits/{visit}").status_code == 200
    assert client_of(erin).get(f"/visits/{visit}").status_code == 404


def test_nobody_signed_in_is_sent_to_sign_in_or_told_so(app, visit):
    client = app.test_client()
    for path in ("/", "/visits", f"/visits/{visit}", "/desk", "/welcome"):
        assert client.get(path).location == "/sign-in"
    response = client.post(f"/visits/{visit}/notes", data={"text": "x"}, headers=PAGE)
    refused_page(response, 401, "access.sign-in")


# Other sites


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_a_write_from_another_site_is_refused(client_of, erin, visit, site):
    response = client_of(erin).post(
        f"/visits/{visit}/notes", data={"text": "x"}, headers={"Sec-Fetch-Site": site}
    )
    refused_page(response, 403, "access.cross-site")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:81", "http://localhost.evil",
               "", "http://ev\u00efl"],
)  # fmt: skip
def test_a_write_with_another_origin_is_refused(client_of, erin, visit, origin):
    response = client_of(erin).post(
        f"/visits/{visit}/notes", data={"text": "x"}, headers={"Origin": origin}
    )
    refused_page(response, 403, "access.cross-site")


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://localhost"},
     {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, {}],
)  # fmt: skip
def test_a_write_from_our_own_page_is_taken(client_of, erin, visit, headers):
    response = client_of(erin).post(f"/visits/{visit}/notes", data={"text": "x"}, headers=headers)
    assert response.status_code == 303


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_every_writing_method_is_guarded(client_of, erin, visit, method):
    response = getattr(client_of(erin), method)(
        f"/visits/{visit}/notes", headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert response.status_code == 403


def test_reading_from_a_link_elsewhere_is_fine(client_of, erin, visit):
    response = client_of(erin).get(f"/visits/{visit}", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "back",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/\t/evil.example",
     "\t//evil.example", "/\n/evil.example", "/\r/evil.example", "javascript:alert(1)", "\\\\evil"],
)  # fmt: skip
def test_nobody_is_led_to_another_site(client_of, erin, back):
    for path in ("/language", "/visits/language", "/display", "/visits/display"):
        data = {"language": "en", "display": "", "back": back}
        response = client_of(erin).post(path, data=data, headers=PAGE)
        assert response.location == "/"


@pytest.mark.parametrize("back", ["/", "/visits", "/desk?day=2026-03-10", "/visits/x?entry=y"])
def test_the_page_asked_from_comes_back(back):
    assert local_path(back) == back


# Headers


@pytest.mark.parametrize(
    ("path", "status"),
    [("/sign-in", 200), ("/visits", 303), ("/nowhere", 404), ("/sync/push", 405),
     ("/static/app.css", 200), ("/static/none.css", 404), ("/sw.js", 200),
     ("/app.webmanifest", 200), ("/sync/nowhere", 404), ("/verify/nowhere", 404)],
)  # fmt: skip
def test_every_answer_carries_the_headers(app, erin, path, status):
    response = app.test_client().get(path)
    assert response.status_code == status
    expected = PAGE_HEADERS | (LINK_HEADERS if path.startswith("/verify") else {})
    for name, value in expected.items():
        if name != "Cache-Control":
            assert response.headers[name] == value, name
    assert response.headers["Cache-Control"]
    response.close()


def test_pages_are_not_kept_by_anybody(client_of, erin, visit):
    response = client_of(erin).get(f"/visits/{visit}")
    assert response.headers["Cache-Control"] == "no-store"


def test_only_the_reader_of_bar_codes_may_compile_web_assembly(app):
    client = app.test_client()

    def policy_of(path):
        with client.get(path) as response:
            assert response.status_code == 200
            return response.headers["Content-Security-Policy"]

    policy = policy_of(DECODER)
    assert policy == DECODER_POLICY
    assert "'unsafe-eval'" not in policy
    assert "'unsafe-inline'" not in policy
    for path in ("/sign-in", "/sw.js", "/static/page/scan.js", "/static/vendor/zxing-reader.js"):
        assert "wasm" not in policy_of(path), path


def test_a_static_file_does_not_set_a_cookie(app, erin, client_of):
    response = client_of(erin).get("/static/app.css")
    assert "Set-Cookie" not in response.headers
    response.close()


# Phones


def test_every_phone_gets_a_credential_of_its_own(app, erin):
    with app.app_context():
        person = db.session.get_one(Person, erin.id)
        found = [enrol_device(person, "Browser" * 100, datetime.now(UTC)) for _ in range(3)]
        db.session.commit()
        assert len({credential for _, credential in found}) == 3
        assert {device.person_id for device, _ in found} == {erin.id}
        assert all(len(device.browser_text) <= 300 for device, _ in found)
        assert all(len(credential) >= 43 for _, credential in found)
        assert db.session.query(Device).count() == 3


def test_only_nonsense_before_the_scheme_is_refused(app, erin_phone, visit):
    headers = erin_phone.headers | {"Authorization": f"device {erin_phone.credential}"}
    assert erin_phone.wire.post("/sync/push", data="{}", headers=headers).status_code == 401
