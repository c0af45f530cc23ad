"""What a model card says in words alone: what a version is for, whom it concerns, its limits."""

from __future__ import annotations

from mlops.reports.document import Block, Items, Text
from mlops.reports.facts import CardFacts
from mlops.reports.numbers import count


def intended_use(facts: CardFacts) -> tuple[Block, ...]:
    """Tell what the version is for, and what not."""
    taxi = facts.taxi or "taxi"
    return (
        Items(
            (
                f"Use: estimating the duration of {taxi} trips between two of the city's taxi"
                " zones, for a single trip or for planning with many.",
                "Users: riders, dispatchers and planners, through the online server or in batches.",
            )
        ),
        Text("Out of scope and not tested:"),
        Items(
            (
                "setting fares or fines, or judging or paying drivers: a slow trip is no evidence"
                " about its driver;",
                "emergency or medical transport, where the unusually long trips matter most;",
                "trips outside New York's taxi zones, in other kinds of vehicle, or of less than a"
                " minute or more than an hour: the training set has none;",
                "exceptional days such as a blizzard or a marathon: monitoring detects them only"
                " afterwards.",
            )
        ),
    )


def ethics() -> tuple[Block, ...]:
    """Tell what the data hold of people, and what that means."""
    return (
        Items(
            (
                "The data contains zones, times and distances, but no names, addresses or payment"
                " details. It does not describe the riders, so fairness by age, sex, income or"
                " origin can be neither measured nor claimed.",
                "Where a trip begins and ends can be a proxy for the people who live there, so"
                " errors are shown by borough and by time. Boroughs with few trips have wide"
                " confidence intervals and little training data.",
                "The model reproduces past traffic. Where streets were slow or taxis rare, it"
                " predicts the same for the future.",
            )
        ),
    )


def caveats(facts: CardFacts) -> tuple[Block, ...]:
    """Tell how far the numbers carry."""
    caveats = []
    if facts.synthetic:
        caveats.append("The trips are synthetic: do not quote these numbers as if they were real.")
    caveats += [
        "The training set has the meter's distance, known only after the trip; a request has an"
        " estimate. Predictions are as good as measured here only if that estimate is good.",
        "The confidence intervals treat hours as independent. If the days of a week are alike, the"
        " true intervals are somewhat wider.",
        "Groups are compared one by one at the 95% level: of twenty groups without a true"
        " difference, one is expected to look different by chance.",
    ]
    if facts.examination is not None:
        days = (facts.examination.end - facts.examination.start).days + 1
        caveats.append(
            f"All of this was measured on {count(days)} days of one season. Follow the live"
            " performance, and retrain when monitoring says so."
        )
    return (Items(tuple(caveats)),)
