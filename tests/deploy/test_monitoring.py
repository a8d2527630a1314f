"""The alert rules and the dashboard are valid, use metrics that exist, and each alert is
documented.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.deploy.promtool import promtool

ROOT = Path(__file__).parent.parent.parent
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
MONITORING = (ROOT / "docs" / "monitoring.md").read_text()
TARGETS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture
def names(app, client, make):
    """The names of all metrics, including the series of histograms."""
    make.course()
    app.test_cli_runner().invoke(args=["audit"])
    found = re.findall(
        "^# TYPE ([a-z_]+) ([a-z]+)$", client.get("/metrics").text, flags=re.MULTILINE
    )
    assert {kind for _, kind in found} == {"counter", "gauge", "histogram"}
    return {
        name + end
        for name, kind in found
        for end in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }


def named(text):
    return set(re.findall(r"course_management_\w+", text))


@pytest.mark.debian
def test_the_rules_are_valid_and_fire_correctly():
    """Fails if an alert loses its `for` or gets another threshold."""
    promtool("check", "rules", str(ALERTS))
    promtool("test", "rules", str(ALERTS.with_name("alerts_test.yml")))


def test_alerts_and_dashboard_use_metrics_that_exist(names):
    assert named(ALERTS.read_text()) - names == set()
    assert named(" ".join(TARGETS)) - names == set()


def test_every_alert_is_explained_in_the_documents():
    alerts = re.findall("- alert: (.*)", ALERTS.read_text())
    assert len(alerts) == ALERTS.read_text().count("runbook_url: docs/monitoring.md#")
    for alert in alerts:
        assert f"runbook_url: docs/monitoring.md#{alert.lower()}\n" in ALERTS.read_text()
        assert f"\n### {alert}\n" in MONITORING


def test_every_metric_is_explained(names):
    told = {re.sub("_(bucket|sum|count)$", "", name) for name in names}
    assert {name for name in told if f"`{name}`" not in MONITORING} == set()


@pytest.mark.debian
def test_the_dashboard_is_valid_for_grafana(tmp_path):
    """promtool checks the queries as rules, with values for Grafana's variables."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} == {"stat", "timeseries"}
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {
        "datasource",
        "job",
        "instance",
    }
    rules = [
        {
            "record": f"panel:{i}",
            "expr": re.sub(r"\$(job|instance)", ".+", expr).replace("$__rate_interval", "1m"),
        }
        for i, expr in enumerate(TARGETS)
    ]
    assert "$" not in json.dumps(rules)
    (tmp_path / "rules.yml").write_text(
        json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})
    )
    promtool("check", "rules", str(tmp_path / "rules.yml"))
