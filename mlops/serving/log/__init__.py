"""The prediction log: what was answered, written down without the server noticing."""
