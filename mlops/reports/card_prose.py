"""What a model card says in words alone: what a version is for, whom it concerns, its limits."""

from __future__ import annotations

from mlops.datasets.wording import DatasetWords
from mlops.reports.document import Block, Items, Text
from mlops.reports.facts import CardFacts
from mlops.reports.numbers import count


def intended_use(words: DatasetWords) -> tuple[Block, ...]:
    """Tell what the version is for, and what not, as far as the owner of the data says so."""
    card = words.card
    unsaid = [key for key in ("uses", "limits") if not getattr(card, key)]
    blocks: list[Block] = [Items(card.uses)] if card.uses else []
    blocks += [Text("Out of scope and not tested:"), Items(card.limits)] if card.limits else []
    return (*blocks, *_unsaid(unsaid, "what the model is for and what it is not for", words))


def ethics(words: DatasetWords) -> tuple[Block, ...]:
    """Tell what the data hold of people, and what that means."""
    if words.card.ethics:
        return (Items(words.card.ethics),)
    return _unsaid(["ethics"], "whom the rows describe and whom a prediction concerns", words)


def _unsaid(keys: list[str], what: str, words: DatasetWords) -> tuple[Block, ...]:
    if not keys or not words.card_file:
        return ()
    where = " and ".join(f"card.{key}" for key in keys)
    return (
        Text(
            f"Data does not show {what}: the owner of the dataset has to say so, under {where} in"
            f" {words.card_file}. Nothing is said there yet."
        ),
    )


def caveats(facts: CardFacts) -> tuple[Block, ...]:
    """Tell how far the numbers carry."""
    words, found = facts.words, facts.examination
    caveats = []
    if facts.synthetic:
        caveats.append(
            f"The {words.rows} are synthetic: do not quote these numbers as if they were real."
        )
    caveats += words.card.caveats
    if words.dependence:
        caveats.append(words.dependence)
    caveats.append(
        "Groups are compared one by one at the 95% level: of twenty groups without a true"
        " difference, one is expected to look different by chance."
    )
    if found is not None:
        days = (found.end - found.start).days + 1 if found.start and found.end else 0
        measured = f"{count(days)} days" if days else f"one sample of {words.rows}"
        caveats.append(
            f"All of this was measured on {measured}. Follow the live performance, and retrain when"
            " monitoring says so."
        )
    return (Items(tuple(caveats)),)
