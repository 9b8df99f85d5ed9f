"""A PostgreSQL server of the tests' own: Debian's programs, a temporary folder, a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql

OWNER = "fieldapp"
SETTINGS = {
    # Nothing of a test must survive a power cut.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "200",
    # Nobody but this folder's owner can connect, and no port is taken.
    "listen_addresses": "''",
    # An hour that leaks from the session's zone into a stored time is seen.
    "timezone": "Asia/Shanghai",
}


class Cluster:
    """A running server.  ``with Cluster() as cluster`` stops it and removes its folder.

    ``settings`` go before :data:`SETTINGS`.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fieldapp-postgres-"))
        self._settings = SETTINGS | dict(settings or {})
        self._data = self.folder / "data"
        self._made = 0

    def __enter__(self) -> Cluster:
        try:
            if os.geteuid() == 0:
                user = _servant()
                os.chown(self.folder, user.pw_uid, user.pw_gid)
            # Sorted as an installation sorts, which is not the order of the bytes.
            self._run("initdb", "--username", OWNER, "--auth=trust", "--encoding=UTF8", "--no-sync",
                      "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")  # fmt: skip
            options = self._settings | {"unix_socket_directories": str(self.folder)}
            given = " ".join(f"-c {name}={value}" for name, value in options.items())
            self._run("pg_ctl", "start", "--wait", "--log", str(self.folder / "log"), "-o", given)
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")
        shutil.rmtree(self.folder)

    def url(self, name: str) -> str:
        """What ``DATABASE_URL`` says for the database ``name``."""
        return f"postgresql://{OWNER}@/{name}?host={self.folder}"

    def connect(self, name: str) -> psycopg.Connection[Any]:
        """A connection whose statements are transactions of their own."""
        return psycopg.connect(
            host=str(self.folder), user=OWNER, dbname=name, autocommit=True, connect_timeout=30
        )

    def create(self, template: str = "template1") -> str:
        """The name of a new database, a copy of ``template``, to which nobody may be connected."""
        self._made += 1
        name = f"test_{self._made}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        with self.connect("postgres") as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        with self.connect("postgres") as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _run(self, program: str, *arguments: str) -> None:
        user = _servant() if os.geteuid() == 0 else None  # the programs refuse root
        # A file: the server would keep a pipe open and nobody would see its end.
        with (self.folder / "said").open("w+") as said:
            done = subprocess.run(
                [_program(program), "--pgdata", str(self._data), *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
                check=False,
            )
            said.seek(0)
            if done.returncode:
                log = self.folder / "log"
                told = said.read() + (log.read_text() if log.exists() else "")
                raise RuntimeError(f"{program} failed: {told}")


def _servant() -> pwd.struct_passwd:
    """Who runs the server when root runs the tests."""
    names = {user.pw_name: user for user in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _program(name: str) -> str:
    """The newest of Debian's versions, which do not stand in PATH."""
    found = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3])
    )
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise RuntimeError(f"{name} is missing: apt-get install postgresql")
    return path
