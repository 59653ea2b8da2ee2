"""The JSON API: its answers are what its description says, and what `status --json` prints."""

import json
import re

import jsonschema
import pytest
from serving import events_in

from loopsmith.campaign.lock import exclusive
from loopsmith.live import Activity, Doing, RequestKind
from loopsmith.records import Status
from loopsmith.serve import answers
from loopsmith.serve.api import OPERATIONS
from loopsmith.tracker import open_store

ONE = "/api/v1/campaigns/c"


@pytest.fixture
def described(client):
    return client.ask("/api/v1/openapi.json").json()


def closed(schema):
    """A schema in which an object has no properties but those that are named."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if "properties" in made and made.get("type") == "object":
        made["additionalProperties"] = False
        made["required"] = list(made["properties"])
    return made


def check(described, path, method, status, answer):
    operation = described["paths"][path][method]
    response = operation["responses"].get(str(status), operation["responses"]["default"])
    (schema,) = (content["schema"] for content in response["content"].values())
    whole = {**schema, "components": described["components"]}
    jsonschema.Draft202012Validator(closed(whole)).validate(answer)


@pytest.mark.parametrize(
    "item", [each for each in OPERATIONS if each.answer and each.method == "GET"], ids=lambda each: each.name
)
def test_every_answer_is_what_the_description_says_with_nothing_left_out_or_added(client, state, described, item):
    with open_store(state / "tracker.db") as store:
        store.ask("c", RequestKind.STEER, {"text": "fuse"}, by="terminal")
    path = re.sub(r":int", "", item.path).format(campaign="c", candidate="1", request=1)
    answer = client.ask(path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    template = re.sub(r":int", "", item.path)
    check(described, template, "get", 200, answer.json())
    missing = client.ask(
        path.replace("/c/", "/nobody/").replace("/c", "/nobody") if "campaign" in item.path else "/api/v1/x"
    )
    assert missing.status == 404
    assert missing.headers["content-type"] == "application/problem+json"
    check(described, template, "get", "default", missing.json())


@pytest.mark.parametrize("number", [2, 2**63, 10**30])
def test_a_request_that_cannot_be_there_is_not_found(client, number):
    assert client.ask(f"/api/v1/campaigns/c/requests/{number}").status == 404


def test_the_description_is_openapi_3_1_and_every_reference_leads_somewhere(described):
    assert described["openapi"].startswith("3.1")
    references = re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(described))
    assert references
    assert set(references) <= set(described["components"]["schemas"])
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    names = [part["operationId"] for path in described["paths"].values() for part in path.values()]
    assert sorted(names) == sorted(item.name for item in OPERATIONS)


def test_the_status_is_that_of_the_command_line(client, state, loopsmith):
    printed = json.loads(loopsmith("status", "--json", "--state", state).out)
    assert client.ask(f"{ONE}/status").json() == printed
    named = answers.CampaignStatus.model_fields
    assert printed.keys() == named.keys()
    for part, model in (("campaign", answers.CampaignState), ("best", answers.Best), ("baseline", answers.Start)):
        assert printed[part].keys() == model.model_fields.keys()


def test_candidates_are_filtered_and_paged(client):
    def numbers(query):
        page = client.ask(f"{ONE}/candidates?{query}").json()
        return page["total"], [row["number"] for row in page["rows"]]

    assert numbers("limit=2&offset=1") == (6, [5, 4])
    assert numbers("status=kept&status=failed&order=up") == (2, [1, 3])
    assert numbers("search=idea+4") == (1, [4])
    assert numbers("sort=value&limit=1") == (6, [4])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "sort=age", "status=good", "order=left", "nonsense=1", "limit=5000"]
)
def test_a_wrong_parameter_is_named(client, query):
    answer = client.ask(f"{ONE}/candidates?{query}")
    assert answer.status == 400
    assert query.partition("=")[0] in answer.json()["detail"]


def test_events_follow_each_other(client, state):
    first = client.ask(f"{ONE}/events?limit=2").json()
    rest = client.ask(f"{ONE}/events?after={first['after']}").json()["rows"]
    with open_store(state / "tracker.db", read_only=True) as store:
        assert [row["id"] for row in first["rows"] + rest] == [event.id for event in store.events("c")]
    assert {row["name"] for row in client.ask(f"{ONE}/events?name=candidate.decided").json()["rows"]} == {
        "candidate.decided"
    }


def test_events_are_streamed_as_they_happen_and_go_on_after_the_last_one_seen(client, state, described):
    with open_store(state / "tracker.db") as store:
        last = store.events("c", limit=1, newest_first=True)[0].id
        with client.stream(f"{ONE}/events/stream", last_event_id=str(last - 1)) as stream:
            assert stream.getheader("content-type").startswith("text/event-stream")
            found = events_in(stream)
            assert next(found)[1]["id"] == last
            new = store.record_event("c", "test.happened", text="now")
            name, event = next(found)
    assert (name, event["id"], event["data"]) == ("event", new.id, {"text": "now"})
    jsonschema.validate(event, {**described["components"]["schemas"]["Event"], "components": described["components"]})


def test_activity_is_shown_while_a_process_runs_the_campaign(client, state):
    with open_store(state / "tracker.db") as store:
        moment = store.campaign("c").created_at
        doing = Activity(
            campaign_id="c", subject="c6", doing=Doing.WORKING, text="reads", since=moment, updated_at=moment
        )
        store.set_activity("c", [doing])
    assert client.ask(f"{ONE}/activity").json() == []
    with exclusive(state / "lock"):
        assert [item["subject"] for item in client.ask(f"{ONE}/activity").json()] == ["c6"]
        assert 'loopsmith_activity{campaign="c",doing="working"} 1' in client.ask("/metrics").text


def test_metrics_are_prometheus_text_with_a_type_for_each_name(client):
    answer = client.ask("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    label = r'[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"'
    sample = re.compile(rf"(loopsmith_[a-z_]+)\{{{label}(?:,{label})*\}} (-?[0-9.e+-]+|NaN|[+-]Inf)")
    kinds: dict[str, str] = {}
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            assert sample.fullmatch(line)[1] in kinds, line
    assert 'loopsmith_decisions_total{campaign="c",verdict="kept"} 1' in answer.text
    assert 'loopsmith_gain{campaign="c",metric="score"} 0.1' in answer.text
    assert "loopsmith_cost_usd_total" in answer.text
    totals = [name for name in kinds if name.endswith("_total")]
    assert totals
    assert all(kinds[name] == "counter" for name in totals)


def test_all_states_of_a_candidate_are_described(described):
    assert set(described["components"]["schemas"]["Status"]["enum"]) == {str(each) for each in Status}
