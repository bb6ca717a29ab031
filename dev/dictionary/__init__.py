"""Writes docs/data.md and docs/questions.md from the database: its comments, and the answers to questions on invented books."""
