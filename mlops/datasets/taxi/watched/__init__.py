"""Taxi trips as monitoring watches them: what is compared, and how trips and labels arrive."""
