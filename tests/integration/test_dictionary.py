"""The dictionary and the questions: docs/data.md and docs/questions.md are what the database holds and answers."""

from __future__ import annotations

import psycopg

from dev.dictionary import catalogue, documents

AGAIN = "is behind: write it anew with ./run check --dictionary"


def test_dictionary_and_answers_are_up_to_date(empty_database: str) -> None:
    for path, text in documents.written(empty_database).items():
        assert path.read_text() == text, f"{path.name} {AGAIN}"
        assert "--- |\n\n" not in text, "a table has no rows"


def test_every_parameter_and_column_is_explained(connection: psycopg.Connection) -> None:
    entries = catalogue.entries(connection)
    assert {entry.name for entry in entries if not entry.text} == set()
    assert {entry.kind for entry in entries} == {"table", "view", "function"}
    for entry in entries:
        for column in entry.parameters + entry.columns:
            assert column.text, (entry.name, column.name)


def test_readers_find_a_question_for_everything(connection: psycopg.Connection) -> None:
    readable = {entry.name for entry in catalogue.entries(connection) if entry.for_readers}
    assert len(readable) > 15
    named = {name for question in documents.questions() for name in question.names}
    assert readable - named == set()


def test_questions_name_only_what_readers_see(connection: psycopg.Connection) -> None:
    readable = {entry.name for entry in catalogue.entries(connection) if entry.for_readers}
    for question in documents.questions():
        assert set(question.names) <= readable, question.text
        assert question.text.endswith("?")
