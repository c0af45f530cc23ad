"""From a table nobody has described to a first definition, with what a person should check."""
