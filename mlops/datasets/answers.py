"""What the three numbers of a prediction are called, each name once; light to import."""

from __future__ import annotations

from typing import Final

# Columns of predictions, as models name them: the first case was minutes.
PREDICTION: Final = "prediction_minutes"
LOWER: Final = "lower_minutes"
UPPER: Final = "upper_minutes"
ANSWER: Final = (PREDICTION, LOWER, UPPER)

# The same where they have the unit of the dataset: in files, logs and replies.
OUTPUTS: Final = ("prediction", "lower", "upper")
