"""From the files of a declared dataset to its data products: extract, validate, build, freeze."""
