"""How people speak of taxi trips: see `mlops.datasets.wording.DatasetWords`."""

from __future__ import annotations

from typing import Final

from mlops.datasets.taxi.trips import DROPOFF_ZONE, PICKUP_ZONE, UNKNOWN_BOROUGH
from mlops.datasets.taxi.zone_names import ZONE_NAMES
from mlops.datasets.wording import CardProse, DatasetWords

# Starts of the bands, in hours. The evening rush is the TLC's own: its rush-hour surcharge holds
# from 4 pm to 8 pm (nyc.gov/tlc, "Taxi Fare"); its overnight surcharge ends at 6 am.
HOUR_BANDS: Final[dict[int, str]] = {
    0: "night",
    6: "morning rush",
    10: "midday",
    16: "evening rush",
    20: "evening",
}
# Starts of the bands, in miles: roughly the quintiles of green trips, with the long tail apart.
DISTANCE_BANDS: Final[dict[float, str]] = {
    0: "under 1 mile",
    1: "1 to 2 miles",
    2: "2 to 5 miles",
    5: "5 to 10 miles",
    10: "10 miles and more",
}
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_FEATURES: Final = {
    "route_trips": "number of earlier trips on the route",
    "route_minutes": "usual minutes of the route",
    "route_pace": "usual minutes per mile of the route",
    "route_miles": "usual miles of the route",
    "pickup_trips": "number of trips that begin in the pickup zone",
    "dropoff_trips": "number of trips that end in the drop-off zone",
    "pickup_pace": "usual minutes per mile from the pickup zone",
    "dropoff_pace": "usual minutes per mile to the drop-off zone",
    "pickup_x": "position of the pickup on the map (x)",
    "pickup_y": "position of the pickup on the map (y)",
    "pickup_z": "position of the pickup on the map (z)",
    "dropoff_x": "position of the drop-off on the map (x)",
    "dropoff_y": "position of the drop-off on the map (y)",
    "dropoff_z": "position of the drop-off on the map (z)",
    "straight_miles": "miles in a straight line",
    "bearing": "direction of the trip",
    "pickup_hour_pace": "minutes per mile from the pickup zone at this hour",
    "dropoff_hour_pace": "minutes per mile to the drop-off zone at this hour",
    "pickup_zone": "pickup zone",
    "dropoff_zone": "drop-off zone",
    "minute_of_day": "time of day",
    "weekday": "day of the week",
    "holiday": "public holiday",
    "passengers": "number of passengers",
    "rate_code": "tariff of the trip",
    "trip_type": "street hail or dispatch",
    "codes_missing": "whether passengers and tariff are missing",
    "miles": "distance in the request",
    "likely_miles": "distance in the request, or else the route's usual one",
    "miles_over_route": "distance relative to the route's usual one",
    "miles_over_straight": "distance relative to the straight line",
    "minutes_at_route_pace": "minutes at the route's usual pace",
    "minutes_at_pickup_pace": "minutes at the pickup zone's usual pace",
    "minutes_at_dropoff_pace": "minutes at the drop-off zone's usual pace",
}

_ZONES: Final = {str(zone): name for zone, name in enumerate(ZONE_NAMES, start=1)}

_CARD: Final = CardProse(
    uses=(
        "Use: estimating the duration of trips between two of the city's taxi zones, in the kind of"
        " taxi that the model was trained on, for a single trip or for planning with many.",
        "Users: riders, dispatchers and planners, through the online server or in batches.",
    ),
    limits=(
        "setting fares or fines, or judging or paying drivers: a slow trip is no evidence about its"
        " driver;",
        "emergency or medical transport, where the unusually long trips matter most;",
        "trips outside New York's taxi zones, in other kinds of vehicle, or of less than a minute"
        " or more than an hour: the training set has none;",
        "exceptional days such as a blizzard or a marathon: monitoring detects them only"
        " afterwards.",
    ),
    ethics=(
        "The data contains zones, times and distances, but no names, addresses or payment details."
        " It does not describe the riders, so fairness by age, sex, income or origin can be neither"
        " measured nor claimed.",
        "Where a trip begins and ends can be a proxy for the people who live there, so errors are"
        " shown by borough and by time. Boroughs with few trips have wide confidence intervals and"
        " little training data.",
        "The model reproduces past traffic. Where streets were slow or taxis rare, it predicts the"
        " same for the future.",
    ),
    caveats=(
        "The training set has the meter's distance, known only after the trip; a request has an"
        " estimate. Predictions are as good as measured here only if that estimate is good.",
    ),
)

WORDS: Final = DatasetWords(
    row="trip",
    rows="trips",
    question="How long does a New York taxi trip take, asked at pickup?",
    prediction="how many minutes a taxi trip in New York will take, asked when the passenger is"
    " picked up",
    answer="duration",
    unit="minutes",
    short="min",
    above="too long",
    below="too short",
    size="the length of the trips",
    group="route",
    examples=("A short trip", "A medium trip", "A long trip"),
    times="pickups",
    inputs="The inputs are known at pickup: time, zones, the estimated distance, passengers,"
    " tariff, trip type, and the history of the route and the hour. The vendor of the meter is not"
    " an input.",
    published="The trips are those that the city publishes (TLC).",
    split="The windows follow each other in time: the trips that judge the model are later than all"
    " that trained it.",
    resampled="whole hours, because trips of the same hour share traffic",
    dependence="The confidence intervals treat hours as independent. If the days of a week are"
    " alike, the true intervals are somewhat wider.",
    features=_FEATURES,
    codes=dict.fromkeys((PICKUP_ZONE, DROPOFF_ZONE), _ZONES),
    dimensions={"hour": "part of the day"},
    fairness=(
        "Fairness by place and time",
        "Nobody should be served much worse because of where they live or when they travel.",
    ),
    # By place and by time: what the data hold that may stand for people.
    compared=("pickup borough", "drop-off borough", "hour", "day of week"),
    order=(*HOUR_BANDS.values(), *DISTANCE_BANDS.values(), *DAYS),
    # Trips whose zone is not known are no group of people or places.
    leftovers=frozenset({UNKNOWN_BOROUGH}),
    card=_CARD,
)
