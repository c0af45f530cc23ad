"""Tracking: a candidate is recorded whole, found again, and children do not lock each other out."""

from __future__ import annotations

import json
import multiprocessing
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlops.data.references import TrainingSetManifest
from mlops.errors import DamagedFileError, RegistryError, UntrustedArtifactError
from mlops.evaluation.evaluate import Evaluation
from mlops.registry import models
from mlops.registry.connection import connect, ensure_tracking
from mlops.registry.receipts import Receipt
from mlops.registry.searches import failed_candidates, finished_candidates, load_insight
from mlops.registry.tracking import log_candidate, log_failed_candidate, model_uri
from mlops.settings import Settings

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def model(constant_model: Any) -> Any:
    return constant_model(7.5)


@pytest.fixture
def log(
    registry_of_one_test: Settings,
    manifest: TrainingSetManifest,
    receipt: Receipt,
    evaluation: Evaluation,
    search: Any,
    model: Any,
) -> Any:
    """Log a candidate; keywords replace its parts."""

    def call(**changes: Any) -> str:
        parts = {
            "manifest": manifest,
            "model": model,
            "metrics": evaluation.metrics,
            "receipt": receipt,
            "search": search,
        }
        return log_candidate(registry_of_one_test, **{**parts, **changes})

    return call


def test_a_candidate_is_recorded_whole(
    log: Any, registry_of_one_test: Settings, receipt: Receipt, evaluation: Evaluation
) -> None:
    client = connect(registry_of_one_test)

    run = client.get_run(log())

    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 2_000  # four trials of half a second
    assert run.data.params == {"alpha": "0.1", "steps": "3"}
    assert run.data.metrics["rmse"] == pytest.approx(evaluation.metrics.rmse)
    tags = run.data.tags
    assert tags["mlops.code_commit"] == receipt.code_commit
    assert tags["mlops.data_hash"] == receipt.data_hash
    assert tags["mlops.lock_hash"] == receipt.lock_hash
    assert tags["mlops.seed"] == "42"
    assert (tags["mlops.pipeline"], tags["mlops.pipeline_run_id"]) == ("sklearn_training", "7")
    assert (tags["mlops.family"], tags["mlops.synthetic"]) == ("lasso", "true")
    # And MLflow's own columns and fields are filled, and the candidates of one job go together.
    assert tags["mlops.job"] == "sklearn_training run 7"
    assert tags["mlflow.source.name"] == "sklearn_training"
    assert tags["mlflow.source.git.commit"] == receipt.code_commit
    note = tags["mlflow.note.content"]
    assert note.startswith(f"`lasso`, RMSE {evaluation.metrics.rmse:.3f} minutes on the validation")
    assert receipt.data_hash[:12] in note and "synthetic" in note


def test_trials_are_nested_runs_with_their_own_numbers(
    log: Any, registry_of_one_test: Settings, search: Any
) -> None:
    failed = replace(search.trials[0], number=4, rmse=None, mae=None, status="did not converge")
    parent = log(search=replace(search, trials=[*search.trials, failed]))
    client = connect(registry_of_one_test)

    children = client.search_runs(
        [ensure_tracking(registry_of_one_test)], f"tags.`mlflow.parentRunId` = '{parent}'"
    )

    by_name = {child.info.run_name: child for child in children}
    assert len(by_name) == 5
    best = by_name["lasso trial 4"]
    assert best.data.params == {"alpha": "0.3"}
    assert best.data.metrics == {"rmse": 4.7, "mae": 3.0, "seconds": 0.5}
    assert best.info.status == "FINISHED"
    assert by_name["lasso trial 5"].info.status == "FAILED"
    assert by_name["lasso trial 5"].data.tags["mlops.trial_status"] == "did not converge"


def test_curves_are_metrics_by_step(log: Any, registry_of_one_test: Settings) -> None:
    run_id = log()
    client = connect(registry_of_one_test)

    curve = client.get_metric_history(run_id, "learning_curve")
    best = client.get_metric_history(run_id, "best_rmse_so_far")

    assert [(m.step, m.value) for m in curve] == [(0, 6.0), (1, 5.0), (2, 4.5)]
    assert [(m.step, m.value) for m in best] == [(0, 5.0), (1, 4.9), (2, 4.8), (3, 4.7)]


def test_the_data_product_is_the_dataset_of_the_run(
    log: Any, registry_of_one_test: Settings, manifest: TrainingSetManifest
) -> None:
    (found,) = connect(registry_of_one_test).get_run(log()).inputs.dataset_inputs

    assert found.dataset.name == "training_set"
    assert manifest.sha256.startswith(found.dataset.digest)
    assert json.loads(found.dataset.source) == {"uri": manifest.uri}
    assert json.loads(found.dataset.profile) == {"num_rows": 9}


def test_one_model_is_logged_and_comes_back(
    log: Any, registry_of_one_test: Settings, model: Any
) -> None:
    run_id = log()
    client = connect(registry_of_one_test)

    outputs = client.get_run(run_id).outputs.model_outputs

    assert [f"models:/{o.model_id}" for o in outputs] == [model_uri(registry_of_one_test, run_id)]
    assert client.get_logged_model(outputs[0].model_id).status == "READY"
    uri = model_uri(registry_of_one_test, run_id)
    location = models.location_of(registry_of_one_test, uri)
    assert models.load_folder(registry_of_one_test, location) == model


@pytest.mark.parametrize("content", ["", "{", "\\x00garbled"])
def test_damaged_records_of_a_candidate_are_named(
    log: Any,
    registry_of_one_test: Settings,
    manifest: TrainingSetManifest,
    content: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = connect(registry_of_one_test).get_run(log())
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    # What was seen in the model is only shown: it is left out. What it learned from decides.
    for name in ("insight.json", "receipt.json"):
        (folder / name).write_text(content)

    assert load_insight(registry_of_one_test, run.info.run_id) is None
    assert str(folder / "insight.json") in caplog.text
    with pytest.raises(DamagedFileError, match=re.escape(str(folder / "receipt.json"))) as found:
        finished_candidates(registry_of_one_test, manifest.sha256)
    assert "mlops run" in found.value.hint


def test_a_candidate_that_was_not_logged_here_is_left_out(
    log: Any, registry_of_one_test: Settings, manifest: TrainingSetManifest
) -> None:
    ours = log()
    client = connect(registry_of_one_test)
    # Given a newer run that looks like a finished candidate, of a model from elsewhere
    stranger = client.create_run(
        ensure_tracking(registry_of_one_test), tags=client.get_run(ours).data.tags
    ).info.run_id
    evil = client.create_logged_model(ensure_tracking(registry_of_one_test), name="lasso")
    client.set_tag(stranger, "mlops.model_uri", f"models:/{evil.model_id}")
    client.set_terminated(stranger)

    found = finished_candidates(registry_of_one_test, manifest.sha256)

    assert [candidate.run_id for candidate in found] == [ours]
    location = models.location_of(registry_of_one_test, model_uri(registry_of_one_test, stranger))
    with pytest.raises(UntrustedArtifactError):
        models.load_folder(registry_of_one_test, location)


def test_more_than_one_batch_of_parameters_and_metrics_fits(
    log: Any, registry_of_one_test: Settings, receipt: Receipt, search: Any
) -> None:
    many = receipt.model_copy(update={"params": {f"p{i:03}": i for i in range(150)}})
    run_id = log(
        receipt=many, search=replace(search, learning_curve=[float(i) for i in range(2_500)])
    )
    client = connect(registry_of_one_test)

    assert len(client.get_run(run_id).data.params) == 150
    assert len(client.get_metric_history(run_id, "learning_curve")) == 2_500


def test_the_newest_search_of_each_family_is_found_best_first(
    log: Any, registry_of_one_test: Settings, receipt: Receipt, evaluation: Evaluation
) -> None:
    def metrics(rmse: float) -> Any:
        return evaluation.metrics.model_copy(update={"rmse": rmse})

    # Given two searches of one family, another family, a refit, and another training set
    log(metrics=metrics(4.0))
    time.sleep(0.002)  # MLflow tells runs apart by the millisecond
    newest = log(metrics=metrics(5.0))
    forest = receipt.model_copy(update={"family": "random_forest", "params": {"trees": 10}})
    best = log(metrics=metrics(4.5), receipt=forest)
    log(metrics=metrics(3.0), search=None, stage="refit")
    log(metrics=metrics(2.0), receipt=receipt.model_copy(update={"data_hash": "cd" * 32}))

    found = finished_candidates(registry_of_one_test, receipt.data_hash)

    assert [(c.family, c.run_id, c.validation_rmse) for c in found] == [
        ("random_forest", best, 4.5),
        ("lasso", newest, 5.0),
    ]
    assert found[0].params == {"trees": 10}
    assert found[0].trials == 4
    assert found[1].receipt == receipt


def test_a_model_that_cannot_be_saved_marks_the_run_as_failed(
    log: Any, registry_of_one_test: Settings
) -> None:
    class Broken:
        def save(self, path: Path) -> None:
            raise ValueError("no weights")

    with pytest.raises(ValueError, match="no weights"):
        log(model=Broken())

    (run,) = connect(registry_of_one_test).search_runs(
        [ensure_tracking(registry_of_one_test)], "tags.`mlops.stage` = 'search'"
    )
    assert run.info.status == "FAILED"
    assert finished_candidates(registry_of_one_test, run.data.tags["mlops.data_hash"]) == ()


def test_a_run_without_model_or_no_run_at_all_is_an_error(
    registry_of_one_test: Settings,
) -> None:
    run = connect(registry_of_one_test).create_run(ensure_tracking(registry_of_one_test))

    with pytest.raises(RegistryError, match="logged no model"):
        model_uri(registry_of_one_test, run.info.run_id)
    with pytest.raises(RegistryError, match="not found"):
        model_uri(registry_of_one_test, "0" * 32)


def test_children_that_write_at_once_do_not_lock_each_other_out(
    log: Any, registry_of_one_test: Settings, search: Any, receipt: Receipt
) -> None:
    # Given three children forked from a process that uses MLflow, each with twenty trials
    ensure_tracking(registry_of_one_test)
    trials = [replace(search.trials[0], number=i) for i in range(20)]
    barrier = FORK.Barrier(3)

    def child(name: str) -> None:
        mine = receipt.model_copy(update={"family": name})
        barrier.wait()
        for _ in range(2):
            log(receipt=mine, search=replace(search, trials=trials))

    children = [FORK.Process(target=child, args=(f"family {i}",)) for i in range(3)]
    for process in children:
        process.start()
    for process in children:
        process.join(120)

    # Then nobody failed with "database is locked", and every run is there
    assert [process.exitcode for process in children] == [0, 0, 0]
    runs = connect(registry_of_one_test).search_runs([ensure_tracking(registry_of_one_test)])
    assert len(runs) == 3 * 2 * 21
    assert len(finished_candidates(registry_of_one_test, receipt.data_hash)) == 3


def test_tracking_costs_little(log: Any, search: Any) -> None:
    # Given a warm process, as a forked child of the engine is
    log()
    trials = [replace(search.trials[0], number=i) for i in range(10)]

    started = time.perf_counter()
    log(search=replace(search, trials=trials))

    # Then ten trials and the model take a fraction of a second; the margin is for a busy machine
    assert time.perf_counter() - started < 3


def test_only_the_candidates_of_the_runs_named_take_part_and_failures_are_found(
    registry_of_one_test: Settings,
    manifest: TrainingSetManifest,
    receipt: Receipt,
    evaluation: Evaluation,
    constant_model: Any,
) -> None:
    def log(family: str, run: str) -> str:
        of = receipt.model_copy(
            update={"family": family, "pipeline_run_id": run, "data_hash": "c0ffee"}
        )
        return log_candidate(
            registry_of_one_test,
            manifest=manifest,
            model=constant_model(5.0),
            metrics=evaluation.metrics,
            receipt=of,
        )

    def fail(family: str, run: str) -> None:
        given = {"pipeline_run_id": run}
        log_failed_candidate(registry_of_one_test, family, "c0ffee", "it broke", given)

    log("lasso", "3")
    earlier = log("ridge", "3")
    mine = log("lasso", "4")
    fail("ridge", "4")
    fail("lasso", "4")  # tried again with success
    fail("tree", "3")

    def found(*runs: str) -> set[str]:
        chosen = finished_candidates(registry_of_one_test, "c0ffee", runs)
        return {candidate.run_id for candidate in chosen}

    assert found("4") == {mine}
    assert found() == {mine, earlier}
    assert found("5") == set()
    failed = failed_candidates(registry_of_one_test, "c0ffee", ("4",))
    assert [(each.family, each.error) for each in failed] == [("ridge", "it broke")]
