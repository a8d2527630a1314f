"""Create the words of the names of students, by which `q` finds them.

Triggers keep the words, so that they are right whoever writes: also an older release. They are the
parts of `name_key` between spaces and hyphens. Each row has a copy of `name_key`: a search sorts
it and needs no row of `students` for that.

Revision: 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

# The rows of words of the students in a table or an alias.
WORDS = {
    "postgresql": "SELECT DISTINCT {0}.id, word, {0}.name_key FROM {1}, regexp_split_to_table({0}.name_key, '[ -]+') AS word "
    "WHERE word <> ''",
    # The name as the text of a JSON list of its words. SQLite has no recursion in triggers.
    "sqlite": "SELECT DISTINCT {0}.id, value, {0}.name_key FROM {1}json_each('[' || replace(replace(json_quote("
    "{0}.name_key), '-', ' '), ' ', '\",\"') || ']') WHERE value <> ''",
}
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSERT = "INSERT INTO student_words (student_id, word, name_key) "
FORGET = "DELETE FROM student_words WHERE student_id = {}.id"


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    op.create_table(
        "student_words",
        sa.Column("student_id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("word", KEY, nullable=False),
        sa.Column("name_key", KEY, nullable=False),
        sa.PrimaryKeyConstraint("student_id", "word", name="pk_student_words"),
        sa.ForeignKeyConstraint(
            ["student_id"], ["students.id"], name="fk_student_words_student_id_students", ondelete="CASCADE"
        ),
    )
    if dialect == "postgresql":
        create_triggers_of_postgresql()
    else:
        create_triggers_of_sqlite()
    source = "students" if dialect == "postgresql" else "students, "
    op.execute(INSERT + WORDS[dialect].format("students", source))
    op.create_index("ix_student_words_word_name_key_student_id", "student_words", ["word", "name_key", "student_id"])


def create_triggers_of_postgresql() -> None:
    # New students come in large numbers: one call for all rows of a statement.
    rows = WORDS["postgresql"].format("written", "written")
    op.execute(
        "CREATE FUNCTION add_student_words() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{INSERT}{rows}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER add_student_words AFTER INSERT ON students REFERENCING NEW TABLE AS written "
        "FOR EACH STATEMENT EXECUTE FUNCTION add_student_words()"
    )
    renamed = WORDS["postgresql"].format("renamed", "(SELECT NEW.id, NEW.name_key) AS renamed")
    op.execute(
        "CREATE FUNCTION renew_student_words() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{FORGET.format('NEW')}; {INSERT}{renamed}; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER renew_student_words AFTER UPDATE OF name_key ON students FOR EACH ROW "
        "WHEN (OLD.name_key IS DISTINCT FROM NEW.name_key) EXECUTE FUNCTION renew_student_words()"
    )


def create_triggers_of_sqlite() -> None:
    rows = WORDS["sqlite"].format("NEW", "")
    op.execute(f"CREATE TRIGGER add_student_words AFTER INSERT ON students BEGIN {INSERT}{rows}; END")
    op.execute(
        "CREATE TRIGGER renew_student_words AFTER UPDATE OF name_key ON students "
        f"WHEN OLD.name_key <> NEW.name_key BEGIN {FORGET.format('NEW')}; {INSERT}{rows}; END"
    )


def downgrade() -> None:
    postgresql = op.get_context().dialect.name == "postgresql"
    for name in ("add_student_words", "renew_student_words"):
        op.execute(f"DROP TRIGGER {name}{' ON students' if postgresql else ''}")
        if postgresql:
            op.execute(f"DROP FUNCTION {name}()")
    op.drop_table("student_words")
