"""Bring a database to the tables of this version, or say that it is from a later one."""

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from latentry_sdk import Unavailable
from latentry_store_sql.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection


HEAD = "first"
"""The newest migration: a database that has it is not looked at any further."""


def migrate(database: Database) -> None:
    """Run the migrations that are missing, in one transaction."""
    with database.reading() as connection:
        if _version(connection) == HEAD:
            return
    with database.writing() as connection:
        database.alone(connection)
        _upgrade(connection, database.name)


def _version(connection: "Connection") -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: "Connection", name: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "latentry_store_sql:migrations")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if (version := _version(connection)) not in (None, *known):
        fix = "pip install --upgrade latentry-store-sql"
        raise Unavailable(f"{name} is of a later version: {version!a}", fix=fix)
    command.upgrade(config, HEAD)
