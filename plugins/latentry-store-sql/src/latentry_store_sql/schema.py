"""Bring a database to the tables of this version, or say that it is from a later one."""

from typing import TYPE_CHECKING

from latentry_sdk import Unavailable
from latentry_store_sql.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection


def migrate(database: Database) -> None:
    """Run the migrations that are missing, in one transaction."""
    with database.writing() as connection:
        database.alone(connection)
        _upgrade(connection, database.name)


def _upgrade(connection: "Connection", name: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "latentry_store_sql:migrations")
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    there = set(MigrationContext.configure(connection).get_current_heads())
    if later := sorted(there - known):
        fix = "pip install --upgrade latentry-store-sql"
        raise Unavailable(f"{name} is of a later version: {later[0]!a}", fix=fix)
    if there != set(scripts.get_heads()):
        command.upgrade(config, "head")
