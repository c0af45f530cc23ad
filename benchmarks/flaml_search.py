"""FLAML's search on one table, in an environment of its own; run as a script by benchmarks.tables.

Usage: python flaml_search.py TABLES.npz SECONDS CORES ANSWERS.npy

The file holds ``train``, ``target``, ``test`` (rows in order of time where there is one), the names
of the columns, which of them are categories, and whether rows are in order of time.
"""

import sys
import time

import numpy as np
import pandas as pd


def main() -> None:
    """Search, predict, and print what was chosen."""
    source, seconds, cores, answers = sys.argv[1:]
    stored = np.load(source, allow_pickle=False)
    train, test = (frame_of(stored, name) for name in ("train", "test"))
    from flaml import AutoML

    started = time.perf_counter()
    search = AutoML()
    search.fit(
        train,
        stored["target"],
        task="regression",
        metric="rmse",
        time_budget=float(seconds),
        n_jobs=int(cores),
        seed=1,
        verbose=0,
        # Rows in order of time are held out by time, as a person who knows the table would ask.
        **({"split_type": "time"} if bool(stored["ordered"]) else {}),
    )
    np.save(answers, np.asarray(search.predict(test), dtype=np.float64))
    print(f"{search.best_estimator}, {time.perf_counter() - started:.0f} s")


def frame_of(stored: "np.lib.npyio.NpzFile", name: str) -> pd.DataFrame:
    """Return a table with its categories marked."""
    frame = pd.DataFrame(stored[name], columns=stored["columns"])
    for column in stored["categories"]:
        frame[column] = frame[column].fillna(-1).astype(int).astype("category")
    return frame


if __name__ == "__main__":
    main()
