"""A campaign in MLflow, with its real client and a real store."""

import pytest
from support import run, setting_x, write_source

from loopsmith import workflow

mlflow = pytest.importorskip("mlflow", reason="pip install 'loopsmith[mlflow]'")


def test_a_campaign_is_one_run_that_goes_on_with_settings_numbers_patches_and_report(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = write_source(tmp_path, agent=setting_x(12, 15, 9, 40), observe="mlflow")
    run(path, "budget.rounds=1")

    def with_report(context):
        def leave():
            context.state.report(context.id).mkdir(parents=True)
            (context.state.report(context.id) / "report.html").write_text("gained 300 %")

        context.at_end.append(leave)

    run(path, "budget.rounds=2", before=with_report)
    state = workflow.load(path).state
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{state}/mlflow.db")
    experiment = client.get_experiment_by_name("tiny")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["objective.metric"] == "score"
    assert found.data.params["agent.kind"] == "scripted"
    assert found.data.tags["loopsmith.stop_reason"] == "rounds"
    history = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    points = {name: sorted((item.step, item.value) for item in items) for name, items in history.items()}
    assert points["value"] == [(1, 12.0), (2, 15.0), (3, 9.0), (4, 40.0)]
    assert points["kept"][-1] == (4, 2.0)
    assert points["best"][0] == (0, 10.0)
    assert points["best"][-1] == (4, 40.0)
    assert points["metrics/score"][-1] == (4, 40.0)
    assert points["effect"][0] == (2, 0.5)
    assert len(points["kept"]) == 4, "a candidate is not drawn twice when the campaign goes on"
    patches = sorted(item.path for item in client.list_artifacts(found.info.run_id, "kept"))
    assert patches == ["kept/2.patch", "kept/4.patch"]
    assert "report/report.html" in [item.path for item in client.list_artifacts(found.info.run_id, "report")]
    text = (state / "mlflow-artifacts" / found.info.run_id / "artifacts/kept/4.patch").read_text()
    assert "+X=40" in text
