"""Keep the copy of records right when rows move to another student, and when a table is truncated.

No release does that, but an operator may: to merge two students, or to import a table anew. The
triggers of 0018 copied only the records of the student to whom the rows moved.

Revision: 0020, after 0019.
"""

from alembic import op

revision = "0020"
down_revision = "0019"

# As in 0018.
LISTS = {
    "completions": ("kind, catalog_key, test_key, grade, score, credits, term", ""),
    "holds": ("id, code, detail, contact, blocks, until", " AND released_at IS NULL"),
    "overrides": ("id, rule, course_id, catalog_code, term, value, expires_at", " AND revoked_at IS NULL"),
}


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        create_triggers_of_postgresql()
    else:
        create_triggers_of_sqlite()
    op.execute(copy_records("id IN (SELECT student_id FROM student_records)"))


def copy_records(which: str) -> str:
    """Copy the records of the students of this condition."""
    postgresql = op.get_context().dialect.name == "postgresql"
    lists = []
    for table, (columns, condition) in LISTS.items():
        rows = (
            f"json_agg(json_build_array({columns}) ORDER BY id)"
            if postgresql
            else f"nullif(json_group_array(json_array({columns.replace('blocks', 'json(blocks)')})), '[]')"
        )
        lists.append(f"(SELECT {rows} FROM {table} WHERE student_id = students.id{condition})")
    names = ", ".join(LISTS)
    return (
        f"INSERT INTO student_records (student_id, {names}) SELECT id, {', '.join(lists)} FROM students WHERE {which} "
        f"ON CONFLICT (student_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in LISTS)}"
    )


def create_triggers_of_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION copy_former_student_records() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM 1 FROM students WHERE id = OLD.student_id FOR NO KEY UPDATE; "
        f"{copy_records('id = OLD.student_id')}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE FUNCTION clear_student_records() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "EXECUTE 'UPDATE student_records SET ' || quote_ident(TG_TABLE_NAME) || ' = NULL'; RETURN NULL; END $$"
    )
    for table in LISTS:
        op.execute(
            f"CREATE TRIGGER copy_former_student_records AFTER UPDATE OF student_id ON {table} FOR EACH ROW "
            "WHEN (OLD.student_id <> NEW.student_id) EXECUTE FUNCTION copy_former_student_records()"
        )
        op.execute(
            f"CREATE TRIGGER clear_student_records AFTER TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION clear_student_records()"
        )


def create_triggers_of_sqlite() -> None:
    for table in LISTS:
        op.execute(
            f"CREATE TRIGGER copy_former_student_records_{table} AFTER UPDATE OF student_id ON {table} "
            f"WHEN OLD.student_id <> NEW.student_id BEGIN {copy_records('id = OLD.student_id')}; END"
        )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for name in ("copy_former_student_records", "clear_student_records"):
            for table in LISTS:
                op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
    else:
        for table in LISTS:
            op.execute(f"DROP TRIGGER copy_former_student_records_{table}")
