"""What a table says about its definition: columns that know the future, and other findings."""
