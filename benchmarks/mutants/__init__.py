"""How many small faults the tests notice: mutants of the code that decides, and what kills them."""
