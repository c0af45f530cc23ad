"""Types commands that are refused, in one process: ``refuse.py COMMANDS``, a JSON list of lists.

Prints, as JSON, the exit code and what was said of each, and the heavy libraries that were loaded.
"""

import contextlib
import io
import json
import sys

from mlops.cli import main

HEAVY = ("mage_ai", "mlflow", "sklearn", "xgboost")

if __name__ == "__main__":
    answers = []
    for arguments in json.loads(sys.argv[1]):
        said = io.StringIO()
        code: object = 0
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                main(arguments)
            except SystemExit as stop:
                code = stop.code
        loaded = [name for name in HEAVY if name in sys.modules]
        answers.append({"code": code, "said": said.getvalue(), "loaded": loaded})
    print(json.dumps(answers))
