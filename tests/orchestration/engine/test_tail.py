"""Following progress files."""

import json

from hypothesis import given
from hypothesis import strategies as st

from mlops.orchestration.engine.tail import ProgressTail
from mlops.progress import PROGRESS_FILE_VARIABLE, report


def test_steps_are_read_once_as_they_were_reported(tmp_path, monkeypatch):
    path = tmp_path / "progress"
    monkeypatch.setenv(PROGRESS_FILE_VARIABLE, str(path))
    tail = ProgressTail(path)
    assert tail.read() == []
    report("searching", trial=1, best_rmse=4.3)
    assert tail.read() == [("searching", {"trial": 1, "best_rmse": 4.3})]
    assert tail.read() == []


def test_what_an_earlier_process_wrote_is_skipped_and_foreign_lines_are_ignored(tmp_path):
    path = tmp_path / "progress"
    path.write_text('{"message": "old"}\n')
    tail = ProgressTail(path)
    with path.open("a") as stream:
        stream.write('no json\n[1]\n{"other": 1}\n{"message": "new", "at": 1}\n')
    assert tail.read() == [("new", {})]


@given(
    st.lists(st.text(max_size=20), max_size=5),
    st.lists(st.integers(min_value=0, max_value=200), max_size=6),
)
def test_no_step_is_lost_or_doubled_however_the_writes_are_cut(tmp_path_factory, messages, cuts):
    content = "".join(json.dumps({"message": message}) + "\n" for message in messages).encode()
    path = tmp_path_factory.mktemp("tail") / "progress"
    tail = ProgressTail(path)
    read = []
    start = 0
    for end in [*sorted(cuts), len(content)]:
        with path.open("ab") as stream:
            stream.write(content[start:end])
        start = max(start, min(end, len(content)))
        read += [message for message, _ in tail.read()]
    assert read == messages
