"""Rows of a declared dataset as monitoring watches them: what is compared, and how news arrives."""
