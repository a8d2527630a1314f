"""Create what lets the rules read their facts fast: an edition, and a copy of the records of students.

The edition is a number that changes with the terms, the windows and the catalog. Triggers keep both,
so that they are right whoever writes: also an older release.

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

ACTS = ("INSERT", "UPDATE", "DELETE")
RENEW = (
    "INSERT INTO rules_edition (id, token) VALUES (1, {}) ON CONFLICT (id) DO UPDATE SET token = excluded.token"
)
OF_EDITION = ("terms", "term_windows", "catalog_entries", "catalog_relations")

# The tables, their columns in the order of the copy, and which rows. Later releases may only append
# columns.
LISTS = {
    "completions": ("kind, catalog_key, test_key, grade, score, credits, term", ""),
    "holds": ("id, code, detail, contact, blocks, until", " AND released_at IS NULL"),
    "overrides": ("id, rule, course_id, catalog_code, term, value, expires_at", " AND revoked_at IS NULL"),
}


def upgrade() -> None:
    op.create_table(
        "rules_edition",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rules_edition"),
        sa.CheckConstraint("id = 1", name=op.f("ck_rules_edition_one_row")),
    )
    op.create_table(
        "student_records",
        sa.Column("student_id", sa.BigInteger, autoincrement=False, nullable=False),
        *(sa.Column(table, sa.Text) for table in LISTS),
        sa.PrimaryKeyConstraint("student_id", name="pk_student_records"),
        sa.ForeignKeyConstraint(
            ["student_id"], ["students.id"], name="fk_student_records_student_id_students", ondelete="CASCADE"
        ),
    )
    if op.get_context().dialect.name == "postgresql":
        create_triggers_of_postgresql()
    else:
        create_triggers_of_sqlite()
    some = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE student_id = students.id)" for table in LISTS)
    op.execute(copy_records(some))


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
    # A random number and not a count: after a restore, a count would come to the same numbers again.
    op.execute(
        "CREATE FUNCTION renew_rules_edition() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{RENEW.format('CAST(floor(random() * 9007199254740992) AS bigint)')}; RETURN NULL; END $$"
    )
    for table in OF_EDITION:
        op.execute(
            f"CREATE TRIGGER renew_rules_edition AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION renew_rules_edition()"
        )
    # The lock first: the statement after it sees what another writer has committed meanwhile.
    op.execute(
        "CREATE FUNCTION copy_student_records() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "PERFORM 1 FROM students WHERE id IN (SELECT student_id FROM written) ORDER BY id FOR NO KEY UPDATE; "
        f"{copy_records('id IN (SELECT student_id FROM written)')}; RETURN NULL; END $$"
    )
    for table in LISTS:
        for act in ACTS:
            rows = "OLD" if act == "DELETE" else "NEW"
            op.execute(
                f"CREATE TRIGGER copy_student_records_{act.lower()} AFTER {act} ON {table} REFERENCING {rows} TABLE "
                "AS written FOR EACH STATEMENT EXECUTE FUNCTION copy_student_records()"
            )


def create_triggers_of_sqlite() -> None:
    for table in OF_EDITION:
        for act in ACTS:
            op.execute(
                f"CREATE TRIGGER renew_rules_edition_{table}_{act.lower()} AFTER {act} ON {table} "
                f"BEGIN {RENEW.format('random()')}; END"
            )
    for table in LISTS:
        for act in ACTS:
            rows = "OLD" if act == "DELETE" else "NEW"
            op.execute(
                f"CREATE TRIGGER copy_student_records_{table}_{act.lower()} AFTER {act} ON {table} "
                f"BEGIN {copy_records(f'id = {rows}.student_id')}; END"
            )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in OF_EDITION:
            op.execute(f"DROP TRIGGER renew_rules_edition ON {table}")
        for table in LISTS:
            for act in ACTS:
                op.execute(f"DROP TRIGGER copy_student_records_{act.lower()} ON {table}")
        op.execute("DROP FUNCTION renew_rules_edition()")
        op.execute("DROP FUNCTION copy_student_records()")
    else:
        for name, tables in (("renew_rules_edition", OF_EDITION), ("copy_student_records", LISTS)):
            for table in tables:
                for act in ACTS:
                    op.execute(f"DROP TRIGGER {name}_{table}_{act.lower()}")
    op.drop_table("student_records")
    op.drop_table("rules_edition")
