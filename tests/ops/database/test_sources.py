from dataclasses import replace
from pathlib import Path

import pytest

from market.kit import settings
from market.ops.database import sources
from market.ops.database.sources import File, MigrationError

SQL = settings.ROOT / "sql"
INVARIANTS = sorted(path.stem for path in (SQL / "invariants").iterdir())


def with_functions(*texts: str) -> sources.Sources:
    files = tuple(File(f"functions/{number:02}_x.sql", text) for number, text in enumerate(texts))
    return replace(sources.read(SQL), functions=files, invariants=())


def invariant(text: str) -> sources.Sources:
    return replace(sources.read(SQL), invariants=(File("invariants/x.sql", text),))


@pytest.mark.parametrize("name", INVARIANTS)
def test_each_invariant_says_in_a_sentence_what_holds(name: str) -> None:
    said = sources.sentence(File(f"invariants/{name}.sql", (SQL / "invariants" / f"{name}.sql").read_text()))
    assert said[0].isupper()
    assert said.endswith(".")


def test_a_sentence_ends_with_its_paragraph() -> None:
    file = File("invariants/x.sql", "-- Nothing\n-- is lost.\n--\n-- Because.\nSELECT 1;\n")
    assert sources.sentence(file) == "Nothing is lost."


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("CREATE FUNCTION f() RETURNS", "CREATE OR REPLACE FUNCTION f(a text) RETURNS", "f"),
        ("CREATE VIEW v AS", "-- v\ncreate view v as", "v"),
        ("CREATE VIEW same AS", "CREATE FUNCTION same() RETURNS", "same"),
        ("CREATE TRIGGER t AFTER INSERT ON a", "CREATE TRIGGER t BEFORE DELETE\n    ON a", "t on a"),
    ],
)
def test_what_two_files_define_is_refused(first: str, second: str, name: str) -> None:
    with pytest.raises(MigrationError, match=rf"{name} is defined in .*00_x\.sql and in .*01_x\.sql"):
        sources.check(with_functions(first, second))


def test_triggers_of_two_tables_may_have_one_name() -> None:
    sources.check(with_functions("CREATE TRIGGER t AFTER INSERT ON a", "CREATE TRIGGER t AFTER INSERT ON b"))


def test_an_invariant_is_not_made_by_a_function_file_as_well() -> None:
    twice = File("functions/99_x.sql", "CREATE FUNCTION violations(only_new boolean) RETURNS")
    found = sources.read(SQL)
    with pytest.raises(MigrationError, match="violations is defined in"):
        sources.check(replace(found, functions=(*found.functions, twice)))


@pytest.mark.parametrize("text", ["CREATE FUNCTION f() RETURNS", "CREATE OR REPLACE VIEW f AS"])
def test_code_among_the_tables_is_refused(text: str) -> None:
    found = sources.read(SQL)
    with pytest.raises(MigrationError, match=r"9999_x\.sql defines f: that belongs in sql/functions/"):
        sources.check(replace(found, schema=(*found.schema, File("schema/9999_x.sql", text))))


@pytest.mark.parametrize("text", ["CREATE TABLE a ();", "ALTER TABLE a ADD b text;", "DROP INDEX a;"])
def test_tables_among_the_functions_are_refused(text: str) -> None:
    with pytest.raises(MigrationError, match="that belongs in sql/schema/"):
        sources.check(with_functions(text))


@pytest.mark.parametrize(
    "text",
    ["SELECT 1;", "-- Two.\nSELECT 1;\nSELECT 2;", "-- Not closed.\nSELECT 1", "-- None.\nDELETE FROM a;"],
)
def test_an_invariant_is_a_sentence_and_one_query(text: str) -> None:
    with pytest.raises(MigrationError, match=r"invariants/x\.sql is not a comment with a sentence"):
        sources.check(invariant(text))


def test_an_invariant_becomes_a_function_of_its_name() -> None:
    code = invariant("-- All is well.\nSELECT 'a', 'b' FROM f(:only_new) WHERE c::text = ';';").code
    made = next(file for file in code if file.name == "invariants/x.sql").text
    assert "FUNCTION invariant_x(only_new boolean)" in made
    assert "FROM f(only_new) WHERE c::text" in made
    assert "invariant_x(only_new)" in code[-1].text


@pytest.mark.parametrize(
    ("kind", "name"), [("schema", "20_x.sql"), ("functions", "x.sql"), ("schema", "0020-x.sql")]
)
def test_a_name_under_which_a_file_would_be_overlooked_is_refused(
    tmp_path: Path, kind: str, name: str
) -> None:
    for folder in ("schema", "functions", "invariants"):
        (tmp_path / folder).mkdir()
    (tmp_path / "schema" / "baseline.toml").write_bytes((SQL / "schema" / "baseline.toml").read_bytes())
    (tmp_path / kind / name).write_text("")
    with pytest.raises(MigrationError, match=f"{name} would never be applied"):
        sources.read(tmp_path)


def test_the_baseline_names_files_that_are_there() -> None:
    found = sources.read(SQL)
    assert set(found.baseline.schema) <= {file.name for file in found.schema}


# Files of the schema from before the rule that one says so which takes away what the release before uses.
BEFORE_THE_RULE = {"0020_runs", "0021_returns", "0039_alerts"}


def test_a_file_that_takes_away_says_so_in_its_first_line() -> None:
    for file in sources.read(SQL).schema:
        if file.removes and Path(file.name).stem not in BEFORE_THE_RULE:
            assert file.declared, (
                f"sql/{file.name} drops, renames or narrows what is there: it begins with `-- contract: why`"
                " (CONTRIBUTING.md, Change the database)"
            )


@pytest.mark.parametrize(
    ("text", "contracts"),
    [
        ("CREATE TABLE one ();\nALTER TABLE two ADD COLUMN three text; -- DROP TABLE four;", False),
        ("ALTER TABLE one DROP CONSTRAINT one_check,\n    ADD CONSTRAINT one_check CHECK (true);", False),
        ("ALTER TABLE one ALTER COLUMN two DROP DEFAULT;", False),
        ("ALTER TABLE one ALTER COLUMN two DROP NOT NULL;", False),
        ("CREATE TABLE one (two text NOT NULL);", False),
        ("DROP TABLE one;", True),
        ("ALTER TABLE one\n    ADD COLUMN two text,\n    DROP COLUMN three;", True),
        ("ALTER TABLE one DROP COLUMN two;", True),
        ("ALTER TABLE one RENAME TO two;", True),
        ("ALTER TABLE one RENAME COLUMN two TO three;", True),
        ("ALTER TABLE one ALTER COLUMN two TYPE integer;", True),
        ("ALTER TABLE one ALTER COLUMN two SET NOT NULL;", True),
        ("-- contract: nothing writes these rows any more\nDELETE FROM one;", True),
    ],
)
def test_what_the_release_before_could_not_work_with_is_known(text: str, contracts: bool) -> None:
    assert File("schema/0100_any.sql", text).contracts is contracts
