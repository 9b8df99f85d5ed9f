"""The console command ``fieldapp``: Flask's own group with the application's commands."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import Flask, current_app
from flask.cli import FlaskGroup
from sqlalchemy.exc import ArgumentError, OperationalError

from fieldapp import create_app, jobs, migrations
from fieldapp.config import WrongSetting, default_of
from fieldapp.database import begin_writing
from fieldapp.models import Organisation, Person, db
from sync.problems import Problem, sentence
from sync.seal_key import SealKey, WrongKey, fingerprint, name_of

if TYPE_CHECKING:
    from fieldapp.reseal import Resealed

GARBAGE = (20_000, 20, 50)
"""When Python looks for garbage that counting references misses: a push makes little of it."""


class Commands(FlaskGroup):
    """Flask's group, with our commands alone: listing them makes no installation."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of our commands."""
        return click.Group.list_commands(self, ctx)


@click.group(cls=Commands, create_app=create_app, add_default_commands=False)
def main() -> None:
    """Work orders for field service: serve, demo, import, verify, upgrade, doctor."""


@main.command()
@click.option("--host", default=None, help="Address to listen on.")
@click.option("--port", type=int, default=None, help="Port to listen on.")
@click.option("--lan", is_flag=True, help="Over https, to phones in this machine's network.")
def serve(host: str | None, port: int | None, lan: bool) -> None:
    """Serve the application and do its background work."""
    _prepare()
    port = port or current_app.config["PORT"]
    if lan:
        _serve_lan(host or "0.0.0.0", port)  # noqa: S104  phones are to reach it
    else:
        _serve(host or current_app.config["HOST"], port)


@main.command()
@click.option("--port", type=int, default=None, help="Port to listen on.")
@click.option("--prepare-only", is_flag=True, help="Store the demo day and stop.")
@click.option("--lan", is_flag=True, help="Over https, to phones in this machine's network.")
def demo(port: int | None, prepare_only: bool, lan: bool) -> None:
    """Store a believable day if it is not there, and serve it."""
    from fieldapp.demo import ORGANISATION, make_demo

    _prepare(str(ORGANISATION["name"]))
    try:
        accounts = make_demo(datetime.now(UTC))
    except ValueError as taken:
        raise click.ClickException(str(taken)) from None
    host, port = current_app.config["HOST"], port or current_app.config["PORT"]
    if not lan:
        click.echo(f"fieldapp: http://{host}:{port}")
    for account in accounts:
        click.echo(
            f"  {account.role:<10} {account.account:<10} {account.password:<14} {account.name}"
        )
    if prepare_only:
        return
    if lan:
        _serve_lan("0.0.0.0", port)  # noqa: S104
    else:
        _serve(host, port)


@main.command()
@click.option("--organisation", default=None, help="Name of the first; certificates carry it.")
def init(organisation: str | None) -> None:
    """Make tables, root certificate and sealing key of a new installation."""
    _prepare(organisation)
    if organisation and db.session.query(Organisation).first() is None:
        _add_organisation(organisation, datetime.now(UTC))
        db.session.commit()
    click.echo(f"ready: {current_app.config['INSTANCE']}")


@main.command()
def upgrade() -> None:
    """Bring the tables to what this version needs; the other commands do so by themselves."""
    before = migrations.upgrade()
    if before.kind == "current":
        click.echo(f"the tables are at revision {before.newest}")
    else:
        click.echo(f"the tables are at revision {before.newest}, were at {before.found or 'none'}")


@main.command()
def restored() -> None:
    """Say that the database came back from a backup: phones send again what it forgot."""
    from fieldapp.ids import mint_id

    _prepare()
    begin_writing()
    for organisation in db.session.query(Organisation):
        organisation.epoch = mint_id(datetime.now(UTC))
    db.session.commit()
    click.echo("phones will send again what they still keep; what is here already counts once")


@main.group()
def organisation() -> None:
    """How an organisation works and stands on its papers."""


@organisation.command("set")
@click.option("--organisation", "called", default=None, help="Name, where there are several.")
@click.option("--name", default=None, help="As it stands on papers.")
@click.option("--address", default=None, help="One line.")
@click.option("--phone", default=None)
@click.option("--logo", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A JPEG, PNG or WebP picture.")  # fmt: skip
@click.option("--policy", default=None, help="How it works: the name of a policy pack.")
def set_organisation(called: str | None, logo: Path | None, **given: str | None) -> None:
    """Change what is given, for papers from now on."""
    from fieldapp.letterhead import change_letterhead, keep_logo

    _prepare()
    owner = _organisation(called)
    if owner is None:
        raise click.ClickException("there is no such organisation; add a person first")
    try:
        change_letterhead(owner, {key: text for key, text in given.items() if text is not None})
    except ValueError as wrong:
        raise click.ClickException(str(wrong)) from None
    if logo is not None:
        keep_logo(owner, logo.read_bytes())
    db.session.commit()
    click.echo(f"papers of {owner.name} say so from now on")


@main.group()
def key() -> None:
    """The key that seals papers, and the certificates above it."""


@key.command("renew")
@click.option("--new-root", is_flag=True, help="Make a new root certificate too.")
def renew_key(new_root: bool) -> None:
    """Seal with a new key under the root; papers sealed before stay genuine."""
    from fieldapp import keys

    migrations.upgrade()  # and no key before this one: its root may be the one that is missing
    _tell_key(keys.renew_key(datetime.now(UTC), with_new_root=new_root))


@key.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_key(file: Path) -> None:
    """Seal with a key bought from an authority (PKCS#12).

    The passphrase is asked for, or read from FIELDAPP_KEY_PASSPHRASE.
    """
    from fieldapp import keys

    migrations.upgrade()
    passphrase = os.environ.get("FIELDAPP_KEY_PASSPHRASE")
    if passphrase is None:
        passphrase = click.prompt("Passphrase", default="", hide_input=True, show_default=False)
    _tell_key(keys.import_key(file.read_bytes(), passphrase.encode(), datetime.now(UTC)))


def _tell_key(sealing: SealKey) -> None:
    ends_at, top = sealing.certificate.not_valid_after_utc, sealing.top
    click.echo(f"papers are sealed as {name_of(sealing.certificate)} until {ends_at:%Y-%m-%d}")
    click.echo(f"who trusts {name_of(top)} trusts them; its SHA-256 is {fingerprint(top)}")


@main.group()
def user() -> None:
    """People who sign in."""


@user.command("add")
@click.argument("account")
@click.option("--name", required=True, help="As it stands on papers.")
@click.option("--role", "roles", multiple=True, required=True,
              type=click.Choice(["engineer", "dispatcher", "manager", "admin"]))  # fmt: skip
@click.option("--organisation", default=None, help="Name, for the first person of a new one.")
@click.password_option()
def add_user(
    account: str, name: str, roles: tuple[str, ...], organisation: str | None, password: str
) -> None:
    """Let a person sign in."""
    from fieldapp.access import hash_password
    from fieldapp.ids import mint_id

    _prepare(organisation)
    now = datetime.now(UTC)
    if not account.isprintable() or " " in account or not 1 <= len(account) <= 60:
        raise click.ClickException("an account has 1 to 60 characters and no spaces")
    if not name.strip() or len(name) > 100:
        raise click.ClickException("a name has 1 to 100 characters")
    if not 1 <= len(password) <= 200:
        raise click.ClickException("a password has 1 to 200 characters")
    if db.session.query(Person).filter_by(account=account).first():
        raise click.ClickException(f"the account {account} exists already")
    owner = _organisation(organisation)
    if owner is None:
        owner = _add_organisation(organisation or "fieldapp", now)
    db.session.add(
        Person(
            id=mint_id(now),
            org_id=owner.id,
            account=account,
            name=name,
            roles_text=" ".join(roles),
            password_hash=hash_password(password),
        )
    )
    db.session.commit()
    click.echo(f"{name} may sign in as {account}")


@main.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--organisation", default=None, help="Name, where there are several.")
@click.option("--author", default=None, help="Account that the work orders are noted under.")
def import_folder(folder: Path, organisation: str | None, author: str | None) -> None:
    """Load customers, sites, contacts, assets, parts and work orders from CSV files."""
    from fieldapp.importing import import_directory
    from fieldapp.languages import language_of_locale, load_messages
    from fieldapp.sheets import ImportRefused

    _prepare()
    owner = _organisation(organisation)
    if owner is None:
        raise click.ClickException("there is no such organisation; add a person first")
    people = db.session.query(Person).filter_by(org_id=owner.id)
    if author:
        person = people.filter_by(account=author).first()
    else:
        person = next((one for one in people if one.is_desk), None)
    if person is None:
        raise click.ClickException("name an account of the desk with --author")
    try:
        report = import_directory(folder, owner, now=datetime.now(UTC), author=person)
    except ImportRefused as refused:
        messages = load_messages("import")[language_of_locale(os.environ)]
        click.echo(refused.text_in(messages), err=True)
        sys.exit(1)
    click.echo(str(report))


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def verify(file: Path, as_json: bool) -> None:
    """Say whether a PDF is genuine (0), altered, superseded, unproven (1), or not ours (2)."""
    from fieldapp.verify import verdict_of

    _prepare()
    found = verdict_of(file.read_bytes())
    click.echo(json.dumps(found.as_data(), ensure_ascii=False) if as_json else found.text())
    sys.exit(found.exit_code)


@main.command()
@click.argument("called", metavar="WORK-ORDER")
@click.option("--revision", type=int, default=None, help="This one alone.")
@click.option("--organisation", default=None, help="Name, where there are several.")
def reseal(called: str, revision: int | None, organisation: str | None) -> None:
    """Bring back the lost papers of a work order (its number) or of a visit (its id).

    Ends with 1 when one is still lost.  What was handed out before stays genuine.
    """
    from fieldapp import reseal as resealing

    _prepare()
    owner = _organisation(organisation)
    if owner is None:
        raise click.ClickException("there is no such organisation; add a person first")
    try:
        papers = resealing.reseal(owner.id, called, revision, datetime.now(UTC))
    except Problem as problem:
        raise click.ClickException(_told(problem)) from None
    for paper in papers:
        click.echo(f"revision {paper.revision}, {paper.title}: {_became(paper)}")
    sys.exit(1 if any(paper.problem for paper in papers) else 0)


def _became(paper: Resealed) -> str:
    """What became of a lost paper, as a sentence."""
    if paper.problem is not None:
        return f"still lost. {_told(paper.problem)}"
    if paper.from_revision is not None:
        told = f"put back as it was, from revision {paper.from_revision}, which carries it."
    else:
        told = "made again, the same before the seal, and sealed anew; both files are genuine."
    return told + (f" The damaged file is kept as {paper.aside}." if paper.aside else "")


def _told(problem: Problem) -> str:
    return sentence(problem.code) % defaultdict(str, problem.args_)


@main.command()
@click.argument("month")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="The ZIP to write.")  # fmt: skip
@click.option("--organisation", default=None, help="Name, where there are several.")
def papers(month: str, out: Path, organisation: str | None) -> None:
    """Put every paper sealed in a month (2026-11) into a ZIP; ends with 1 if one is missing."""
    from fieldapp.bundling import write_bundle
    from fieldapp.languages import language_of_locale
    from fieldapp.months import is_month

    _prepare()
    if not is_month(month):
        raise click.ClickException(f"a month looks like 2026-11, not {month}")
    owner = _organisation(organisation)
    if owner is None:
        raise click.ClickException("there is no such organisation; add a person first")
    unfinished = out.with_name(f"{out.name}.new")
    try:
        with unfinished.open("wb") as file:
            written = write_bundle(
                file, owner, month, language_of_locale(os.environ), lambda *_: None
            )
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    click.echo(f"papers of {month}: {written.count}, of which missing: {written.missing}")
    sys.exit(1 if written.missing else 0)


@main.command()
def doctor() -> None:
    """Look at libraries, fonts, database, key and disk: what is wrong and what to do."""
    from fieldapp.health import examine

    findings = examine(datetime.now(UTC))
    for finding in findings:
        click.echo(f"{'ok  ' if finding.is_good else 'BAD '} {finding.text}")
    sys.exit(0 if all(finding.is_good for finding in findings) else 1)


def run() -> None:
    """Entry point of the console command: what is wrong is a sentence, not a traceback."""
    try:
        main()
    except WrongSetting as wrong:
        click.echo(f"fieldapp: {wrong}", err=True)
        sys.exit(2)
    except (migrations.WrongSchema, WrongKey) as wrong:
        click.echo(f"fieldapp: {wrong}", err=True)
        sys.exit(2)
    except (ArgumentError, ModuleNotFoundError) as wrong:
        click.echo(f"fieldapp: {wrong} (check DATABASE_URL and its driver)", err=True)
        sys.exit(2)
    except OperationalError as busy:
        told = str(busy.orig).strip().partition("\n")[0]
        click.echo(f"fieldapp: the database does not answer or is busy: {told}", err=True)
        sys.exit(3)
    except Problem as problem:
        click.echo(f"fieldapp: {_told(problem)}", err=True)
        sys.exit(3)


def _prepare(name: str | None = None) -> None:
    """Tables and keys, made when they are not there; tables of before are brought up to date.

    ``name`` stands on the certificates of an installation that has no organisation yet.
    """
    from fieldapp import keys

    migrations.upgrade()
    keys.prepare_key(datetime.now(UTC), name)


def _add_organisation(name: str, now: datetime) -> Organisation:
    from fieldapp.ids import mint_id

    owner = Organisation(id=mint_id(now), name=name, epoch=mint_id(now))
    db.session.add(owner)
    db.session.flush()
    return owner


def _organisation(name: str | None) -> Organisation | None:
    found = db.session.query(Organisation)
    if name is not None:
        return found.filter_by(name=name).first()
    every = found.all()
    if len(every) > 1:
        raise click.ClickException("there are several organisations; name one with --organisation")
    return every[0] if every else None


def _serve(host: str, port: int) -> None:
    import waitress

    with _at_work() as app:
        waitress.serve(
            app,
            host=host,
            port=port,
            threads=app.config["THREADS"],
            max_request_body_size=_body_bytes(app),
            # what proxies say is judged by fieldapp.proxies, for every server alike
            clear_untrusted_proxy_headers=False,
            _quiet=True,
        )


def _serve_lan(host: str, port: int) -> None:
    """Serve over TLS, and offer phones the root certificate that makes them trust it."""
    import threading

    import waitress

    from fieldapp import authority, tls, trust

    config = current_app.config
    wanted = config["PUBLIC_URL"]
    is_given = wanted != default_of("PUBLIC_URL")
    if is_given and not wanted.startswith("https://"):
        raise click.ClickException(f"FIELDAPP_PUBLIC_URL must begin with https://, not {wanted}")
    addresses, names = authority.machine_addresses(), authority.machine_names()
    try:
        ours = authority.prepare(Path(config["INSTANCE"]) / "lan", addresses, names,
                                 datetime.now(UTC))  # fmt: skip
    except authority.NoAuthority as wrong:
        raise click.ClickException(str(wrong)) from None
    address = str(ours.addresses[0])
    if not is_given:
        config["PUBLIC_URL"] = f"https://{address}:{port}"
    config["SESSION_COOKIE_SECURE"] = True
    plain = f"http://{address}:{config['TRUST_PORT']}"
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    server = tls.make_server(app, host, port, ours, threads=config["THREADS"],
                             body_bytes=_body_bytes(app))  # fmt: skip
    try:
        server.prepare()
        page = waitress.create_server(
            trust.create_trust_page(ours, config["PUBLIC_URL"]),
            host=host, port=config["TRUST_PORT"], threads=2,
        )  # fmt: skip
    except OSError as taken:
        server.stop()
        raise click.ClickException(
            f"ports {port} and {config['TRUST_PORT']} must be free: {taken}"
        ) from None
    with _at_work():
        threading.Thread(target=page.run, daemon=True).start()
        if ours.is_another:
            click.echo(
                "The root certificate was made anew: the last one ended or spoke for too much.\n"
                "Take that one off every phone, and install the new one."
            )
        _tell_phones(plain, config["PUBLIC_URL"], ours.fingerprint())
        try:
            server.serve()
        finally:
            server.stop()


def _tell_phones(plain: str, app_url: str, fingerprint: str) -> None:
    """Where a phone begins, as a QR code too."""
    import segno

    click.echo("On a phone in the same network, scan this and follow its page:")
    try:
        segno.make(plain, error="m").terminal(compact=True)
    except UnicodeEncodeError:
        click.echo("(this terminal cannot draw the code)")
    click.echo(f"  {plain}  the certificate, once a phone")
    click.echo(f"  {app_url}  then the app")
    click.echo(f"  the certificate's SHA-256: {fingerprint}")


def _body_bytes(app: Flask) -> int:
    """The largest body a server takes.

    Twice what the application takes: what is a little too large is told so by our own page.
    """
    from fieldapp.verify import UPLOAD_BYTES

    return int(2 * max(app.config["MAX_CONTENT_LENGTH"], UPLOAD_BYTES))


@contextmanager
def _at_work() -> Iterator[Flask]:
    """The application with its background work, until the process is told to end."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    # What is loaded by now stays: walking through it at every collection took most of a large push.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    for job in ("due", "timestamps"):
        jobs.enqueue(job, "")  # what the last end of the process, or of the queue, left undone
    db.session.remove()
    consumer = jobs.start_consumer(app, app.config["RENDER_WORKERS"])
    for number in (signal.SIGTERM, signal.SIGINT):  # a service; and what a shell put behind itself
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        yield app
    finally:
        consumer.stop(graceful=True)
