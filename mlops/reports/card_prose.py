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
                f"For: telling a passenger or a dispatcher how long a {taxi} trip between two of"
                " the city's taxi zones will take; planning with many such estimates.",
                "For whom: riders, dispatchers, planners; through the online server or in batches.",
            )
        ),
        Text("Not made for, and not tested for:"),
        Items(
            (
                "fares, fines or the pay and judgement of drivers: a slow trip says nothing of"
                " whoever drove it;",
                "emergency or medical transport, where an unusually long trip is what matters;",
                "trips outside of New York's taxi zones, other kinds of vehicle, or trips of less"
                " than a minute or more than an hour: those were not learned from;",
                "days unlike any it learned from, such as a blizzard or a marathon: monitoring"
                " tells when the world has changed, afterwards.",
            )
        ),
    )


def ethics() -> tuple[Block, ...]:
    """Tell what the data hold of people, and what that means."""
    return (
        Items(
            (
                "The data hold no names, addresses or payment of anybody, only zones, times and"
                " distances. They hold nothing of who rode either, so that fairness to people by"
                " age, sex, income or origin can be neither measured nor claimed.",
                "Where a trip begins and ends may stand in for who lives there: errors are"
                " therefore shown by borough, and by time. Boroughs with few trips have wide"
                " intervals, and the model had little to learn them from.",
                "The model learns how the city moved. Where streets were slow or taxis rare, it"
                " will expect that to go on.",
            )
        ),
    )


def caveats(facts: CardFacts) -> tuple[Block, ...]:
    """Tell how far the numbers carry."""
    said = []
    if facts.synthetic:
        said.append("The trips are synthetic: do not quote these numbers as if they were real.")
    said += [
        "In history, the distance is the meter's, known only after the trip; in a request it is an"
        " estimate. How good that estimate is decides how much of the measured quality remains.",
        "The intervals treat one hour as independent of the next. Days of one week may be alike,"
        " which would make true intervals somewhat wider.",
        "Groups are compared one by one at 95%: among twenty groups that are treated alike, one"
        " will look different by chance.",
    ]
    if facts.examination is not None:
        days = (facts.examination.end - facts.examination.start).days + 1
        said.append(
            f"All of this was measured on {count(days)} days of one season. Follow the live"
            " performance, and retrain when monitoring says so."
        )
    return (Items(tuple(said)),)
