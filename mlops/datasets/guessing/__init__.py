"""From a table nobody has described to a first definition of it, with what a person should check."""
