"""A worker that logs for ever and says how far it is; run by `test_log_kill`."""

import sys
import time
from datetime import datetime

import numpy as np

from mlops.serving.log.prediction_log import PredictionLog
from mlops.settings import load_settings

log = PredictionLog(load_settings(), "worker-0")
rows = int(sys.argv[1])
trips = {
    "pickup_at": np.full(rows, np.datetime64(datetime(2024, 1, 1), "us")),
    "pickup_zone": np.arange(rows) % 265 + 1,
    "dropoff_zone": np.arange(rows) % 265 + 1,
}
number = 0
while True:
    while log.waiting > 20 * rows:  # or the queue would overflow on a busy machine
        time.sleep(0.001)
    # Before the numbers are told, they are true.
    print(log.written // rows, flush=True)
    for _ in range(10):
        log.append(
            request_id=str(number),
            caller="someone",
            endpoint="predict",
            version=1,
            role="champion",
            columns=trips,
            miles=np.ones(rows),
            minutes=np.ones((rows, 3)),
        )
        number += 1
