"""The world's memory: one SQLite file that survives kill -9. What the documents mean is not known here."""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, parent TEXT, position INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_by_parent ON documents (kind, parent, position);
CREATE TABLE IF NOT EXISTS tags (tag TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (tag, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, reference TEXT NOT NULL,
    amount_minor INTEGER, currency TEXT, order_id TEXT, at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ledger_by_order ON ledger (order_id);
CREATE TRIGGER IF NOT EXISTS ledger_keeps_rows BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER IF NOT EXISTS ledger_keeps_words BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""


class StoreInUse(Exception):
    """Another world runs on this folder."""


class Store:
    """Documents, tags, marks and rows, written in transactions; one process and one thread use it."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = (data_dir / "world.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise StoreInUse(f"another world runs on {data_dir}") from error
        self.db = sqlite3.connect(data_dir / "world.sqlite3", isolation_level=None, cached_statements=256)
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)
        self._position: int = self.db.execute("SELECT coalesce(max(position), 0) FROM documents").fetchone()[0]
        self._after: list[Callable[[], None]] = []

    def close(self) -> None:
        """Everything is written and the folder is free."""
        self.db.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside lands together or not at all; what waits for it runs after the commit."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._after.clear()
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")
        waiting, self._after = self._after, []
        for call in waiting:
            call()

    def after_commit(self, call: Callable[[], None]) -> None:
        """*call* runs once this transaction is durable, never if it fails."""
        self._after.append(call)

    def put(self, kind: str, body: dict[str, Any], *, parent: str | None = None) -> None:
        """The document ``body["id"]`` is *body*; kind, parent and place in the order of creation never change."""
        self._position += 1
        self.db.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], kind, parent, self._position, orjson.dumps(body)),
        )

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        """The document of that kind and id."""
        row = self.db.execute("SELECT body FROM documents WHERE id = ? AND kind = ?", (id, kind)).fetchone()
        return None if row is None else _body(row[0])

    def children(self, kind: str, parent: str) -> list[dict[str, Any]]:
        """The documents of *parent*, oldest first."""
        rows = self.db.execute(
            "SELECT body FROM documents WHERE kind = ? AND parent = ? ORDER BY position", (kind, parent)
        )
        return [_body(row[0]) for row in rows]

    def tag(self, tag: str, id: str) -> None:
        """The document *id* is found under *tag*."""
        self.db.execute("INSERT OR IGNORE INTO tags VALUES (?, ?)", (tag, id))

    def tagged(self, kind: str, tag: str) -> list[dict[str, Any]]:
        """The documents under *tag*, oldest first."""
        rows = self.db.execute(
            "SELECT d.body FROM tags t JOIN documents d ON d.id = t.id WHERE t.tag = ? AND d.kind = ?"
            " ORDER BY d.position",
            (tag, kind),
        )
        return [_body(row[0]) for row in rows]

    def mark(self, name: str) -> bool:
        """Whether *name* was new; from now on it is not."""
        return self.db.execute("INSERT OR IGNORE INTO marks VALUES (?)", (name,)).rowcount == 1


def _body(blob: bytes) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(blob)
    return body
