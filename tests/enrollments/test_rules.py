"""The rules of registration over HTTP: each refusal lists every rule that the request breaks."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from course_management.db.transaction import transaction
from course_management.history.recorder import events
from tests.web.problems import problem

MORNING = {"days": ["mon", "wed"], "starts": "09:00", "ends": "10:15"}


def moment(**delta):
    """A time, from now on."""
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


def open_window(client, term, group=None, opens=-1, closes=1):
    window = {"group": group, "opens_at": moment(days=opens), "closes_at": moment(days=closes)}
    answer = client.put(f"/terms/{term['code']}/windows", json={"windows": [window]})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def offer(client, term):
    """Makes a course of the term, with an entry of its own if it has a code."""
    open_window(client, term)

    def make(code=None, entry=(), **fields):
        if code:
            made = {"code": code, "title": code, "credits_min": 3} | dict(entry)
            assert client.post("/catalog", json=made).status_code == 201
            fields["catalog_code"] = code
        body = {"name": f"Course {uuid.uuid4()}", "level": "x", "term": term["code"]} | fields
        answer = client.post("/courses", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    return make


@pytest.fixture
def student(make):
    return make.student()["id"]


def enroll(client, student, *courses, **more):
    return client.post(f"/students/{student}/enroll", json={"course_ids": courses} | more)


def broken(answer):
    """The rules and courses of a refusal."""
    assert problem(answer) == (409, "rules-broken"), answer.text
    assert answer.json["broken_count"] == len(answer.json["broken"])
    return [(one["rule"], one["course_id"]) for one in answer.json["broken"]]


def test_a_student_registers_in_a_term(client, offer, student):
    course = offer("CS 225", meetings=[MORNING])
    answer = enroll(client, student, course)
    assert (answer.status_code, answer.json["added"]) == (201, [course])
    assert "warnings" not in answer.json
    again = enroll(client, student, course)
    assert (again.status_code, again.json["kept"]) == (200, [course])


def test_every_broken_rule_of_every_course_is_listed(client, offer, student):
    held = offer("CS 173", meetings=[MORNING])
    assert enroll(client, student, held).status_code == 201
    needs = offer("CS 225", {"prerequisites": {"course": "CS 125"}}, meetings=[MORNING])
    full = offer(capacity=0, consent="instructor", open_to={"group": "program:cs"})
    answer = enroll(client, student, needs, full)
    assert broken(answer) == [
        ("prerequisite-missing", needs),
        ("time-conflict", needs),
        ("restricted", full),
        ("consent-required", full),
        ("course-full", full),
    ]
    for one in answer.json["broken"]:
        assert one["student_id"] == student
        assert one["detail"].endswith(".") and one["remedy"].endswith(".")
    assert client.get(f"/students/{student}/enroll").json["course_ids"] == [held]


def test_seats_alone_are_refused_as_without_a_term(client, offer, student):
    full = offer(capacity=0)
    assert problem(enroll(client, student, full)) == (409, "course-full")


def test_windows_of_groups(client, term, offer, student):
    course = offer()
    client.put(f"/terms/{term['code']}/windows", json={"windows": []})
    refused = enroll(client, student, course)
    assert broken(refused) == [("registration-not-open", course)]
    assert f"in the term {term['code']} is not open" in refused.json["detail"]
    open_window(client, term, group="standing:senior")
    assert broken(enroll(client, student, course)) == [("registration-not-open", course)]
    client.post("/groups/standing:senior/add", json={"student_ids": [student]})
    assert enroll(client, student, course).status_code == 201


def test_holds_block_adds_and_drops(client, offer, student):
    course, other = offer(), offer()
    assert enroll(client, student, course).status_code == 201
    body = {"code": "fees", "detail": "Fees are due.", "blocks": ["add", "drop"]}
    hold = client.post(f"/students/{student}/holds", json=body).json
    assert broken(enroll(client, student, other)) == [("hold", None)]
    drop = f"/students/{student}/courses/{course}"
    assert broken(client.delete(drop)) == [("hold", None)]
    body = {"student_ids": [student]}
    assert broken(client.post(f"/courses/{course}/drop", json=body)) == [("hold", None)]
    client.post(f"/students/{student}/holds/{hold['id']}/release", json={"reason": "Paid"})
    assert client.delete(drop).status_code == 204


def test_completions_meet_prerequisites(client, offer, student):
    course = offer("CS 225", {"prerequisites": {"course": "cs 125", "min_grade": "C"}})
    path = f"/students/{student}/completions"
    done = {"catalog_code": "CS 125", "kind": "course", "grade": "D", "credits": 4}
    completion = client.post(path, json=done).json
    assert broken(enroll(client, student, course)) == [("prerequisite-missing", course)]
    client.patch(f"{path}/{completion['id']}", json={"grade": "B+"})
    assert enroll(client, student, course).status_code == 201


def test_an_entry_that_is_the_same_counts(client, offer, student):
    course = offer("CS 225", {"prerequisites": {"course": "CS 125"}})
    client.post(
        "/catalog", json={"code": "ECE 125", "title": "x", "credits_min": 1, "same_as": ["CS 125"]}
    )
    done = {"catalog_code": "ECE 125", "kind": "transfer"}
    client.post(f"/students/{student}/completions", json=done)
    assert enroll(client, student, course).status_code == 201


def test_an_override_lifts_one_rule(client, offer, student):
    course = offer(consent="department", open_to={"group": "program:cs"})
    body = {"rule": "consent-required", "course_id": course, "reason": "Asked and granted"}
    client.post(f"/students/{student}/overrides", json=body)
    assert broken(enroll(client, student, course)) == [("restricted", course)]
    client.post(f"/students/{student}/overrides", json=body | {"rule": "restricted"})
    assert enroll(client, student, course).status_code == 201


def test_limits_of_credits_count_the_chosen_ones(client, term, offer, student):
    client.patch(f"/terms/{term['code']}", json={"max_credits": 5})
    wide, other = offer(credits_min=1, credits_max=4), offer(credits_min=2)
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": wide, "credits": 3.5}).status_code == 201
    assert broken(enroll(client, student, other)) == [("credits-exceeded", None)]
    assert client.post(path, json={"course_id": wide, "credits": 3}).status_code == 200
    assert enroll(client, student, other).status_code == 201
    refused = client.post(path, json={"course_id": wide, "credits": 4.5})
    assert problem(refused) == (422, "invalid")
    body = {"add": [{"course_id": wide, "credits": 4}], "drop": [other]}
    assert client.post(f"/students/{student}/changes", json=body).status_code == 200


def test_a_swap_is_judged_on_the_set_afterwards(client, offer, student):
    first, second = offer("CS 225", meetings=[MORNING]), offer(meetings=[MORNING])
    assert enroll(client, student, first).status_code == 201
    assert broken(enroll(client, student, second)) == [("time-conflict", second)]
    body = {"add": [{"course_id": second}], "drop": [first]}
    assert client.post(f"/students/{student}/changes", json=body).status_code == 200


def test_a_condition_in_words_is_a_warning_of_every_request_that_enrolls(client, offer, make):
    course = offer("CS 499", {"prerequisites": {"text": "Consent of the head"}})
    one, two, three, four = (make.student()["id"] for _ in range(4))
    answers = {
        one: enroll(client, one, course),
        two: client.post(f"/students/{two}/courses", json={"course_id": course}),
        three: client.post(f"/students/{three}/changes", json={"add": [{"course_id": course}]}),
        four: client.post(f"/courses/{course}/students", json={"student_ids": [four]}),
    }
    for student, answer in answers.items():
        assert answer.status_code in (200, 201), answer.text
        (warning,) = answer.json["warnings"]
        named = (warning["rule"], warning["student_id"], warning["course_id"])
        assert named == ("prerequisite-missing", student, course)
        assert "Consent of the head" in warning["detail"]
    assert "warnings" not in client.get(f"/students/{two}/courses/{course}").json


def test_enrollments_show_their_credits(client, offer, make, student):
    ranged, fixed = offer(credits_min=1, credits_max=4), offer(credits_min=0)
    plain = make.course()["id"]
    path = f"/students/{student}/courses"
    made = client.post(path, json={"course_id": ranged, "credits": 2.5})
    assert (made.status_code, made.json["credits"]) == (201, 2.5)
    assert enroll(client, student, fixed, plain).status_code == 201
    credits_of = {ranged: 2.5, fixed: 0, plain: None}
    for course, number in credits_of.items():
        assert client.get(f"{path}/{course}").json.get("credits") == number
        (listed,) = client.get(f"/courses/{course}/students").json
        assert listed.get("credits") == number
    assert {one["id"]: one.get("credits") for one in client.get(path).json} == credits_of
    assert "credits" not in client.get(f"{path}/{plain}").json
    tag = client.get(f"{path}/{ranged}").headers["ETag"]
    again = client.post(path, json={"course_id": ranged, "credits": 4})
    assert (again.status_code, again.json["credits"]) == (200, 4)
    fresh = client.get(f"{path}/{ranged}", headers={"If-None-Match": tag})
    assert (fresh.status_code, fresh.json["credits"]) == (200, 4)
    kept = client.post(path, json={"course_id": ranged, "credits": None})
    assert kept.json["credits"] == 4


def test_rosters_are_judged_student_by_student(client, offer, make):
    course = offer(open_to={"group": "program:cs"})
    students = [make.student()["id"] for _ in range(3)]
    client.post("/groups/program:cs/add", json={"student_ids": students[:1]})
    answer = client.post(f"/courses/{course}/students", json={"student_ids": students})
    assert broken(answer) == [("restricted", course)] * 2
    assert [one["student_id"] for one in answer.json["broken"]] == students[1:]
    one = client.post(f"/courses/{course}/students", json={"student_ids": students[:1]})
    assert one.status_code == 201


def test_a_late_drop_is_a_withdrawal(client, term, offer, student):
    course = offer("CS 225")
    assert enroll(client, student, course).status_code == 201
    deadlines = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
    later = {"withdraw_until": moment(days=1)}
    assert client.patch(f"/terms/{term['code']}", json=deadlines | later).status_code == 200
    assert client.delete(f"/students/{student}/courses/{course}").status_code == 204
    (completion,) = client.get(f"/students/{student}/completions").json
    wanted = {"kind": "withdrawn", "catalog_code": "CS 225", "term": term["code"], "credits": 3}
    assert {name: completion[name] for name in wanted} == wanted
    assert broken(enroll(client, student, course)) == [("add-deadline-passed", course)]


def test_courses_without_a_term_have_no_rules(client, make, student):
    body = {"code": "fees", "detail": "Fees are due.", "blocks": ["add"]}
    client.post(f"/students/{student}/holds", json=body)
    assert enroll(client, student, make.course()["id"]).status_code == 201


def replace(client, student, *courses, **more):
    return client.put(f"/students/{student}/enroll", json={"course_ids": courses} | more)


def test_a_set_is_that_of_a_whole_term(client, term, part, offer, make, student):
    """A request about one term leaves the others alone."""
    spring = {"code": "2027-SP", "name": "Spring", "time_zone": "UTC"}
    spring |= {"starts_on": "2027-01-11", "ends_on": "2027-05-07"}
    open_window(client, client.post("/terms", json=spring).json)
    whole, half, later = offer(), offer(term=part["code"]), offer(term="2027-SP")
    free = make.course()["id"]
    every = [whole, half, later, free]
    assert enroll(client, student, *every).status_code == 201

    assert replace(client, student).json["removed"] == [free]
    assert replace(client, student, term="2027-sp").json["removed"] == [later]
    assert enroll(client, student, later, free).status_code == 201
    answer = replace(client, student, half)
    assert (answer.json["removed"], answer.json["kept"]) == ([whole, free], [half])
    left = client.get(f"/students/{student}/enroll")
    assert (left.json["course_ids"], left.headers["ETag"]) == (
        [half, later],
        answer.headers["ETag"],
    )
    assert problem(replace(client, student, term="nope")) == (404, "term-not-found")
    wrong = replace(client, student, whole, later, term=term["code"])
    assert problem(wrong) == (422, "invalid")
    assert [fault["pointer"] for fault in wrong.json["errors"]] == ["/course_ids/1"]


def test_a_replacement_is_judged_on_the_set_afterwards(client, offer, student):
    first, second = offer(meetings=[MORNING]), offer(meetings=[MORNING])
    assert enroll(client, student, first).status_code == 201
    assert replace(client, student, second).json["removed"] == [first]
    assert broken(replace(client, student, first, second)) == [("time-conflict", first)]


def test_overrides_of_seats_and_status(client, offer, student, make):
    """The course grows by the seat, which is an edit of it. One override lifts one refusal."""
    course = offer(capacity=1, waitlist_capacity=0)
    assert enroll(client, make.student()["id"], course).status_code == 201
    client.patch(f"/courses/{course}", json={"status": "closed"})
    path = f"/students/{student}/overrides"
    body = {"course_id": course, "reason": "The dean agreed"}
    client.post(path, json=body | {"rule": "course-full"})
    assert problem(enroll(client, student, course)) == (409, "course-closed")
    client.post(path, json=body | {"rule": "course-closed"})
    (asked,) = client.get(f"/students/{student}/eligibility?course={course}").json
    assert asked["eligible"]
    assert enroll(client, student, course).status_code == 201
    after = client.get(f"/courses/{course}").json
    assert (after["capacity"], after["seats_taken"], after["version"]) == (2, 2, 3)
    assert problem(enroll(client, make.student()["id"], course)) == (409, "course-closed")


def test_an_override_of_a_full_waitlist(client, offer, student, make):
    course = offer(capacity=0, waitlist_capacity=0)
    assert problem(enroll(client, student, course, waitlist=True)) == (409, "waitlist-full")
    body = {"rule": "waitlist-full", "course_id": course, "reason": "The dean agreed"}
    client.post(f"/students/{student}/overrides", json=body)
    assert enroll(client, student, course, waitlist=True).json["waitlisted"] == [course]
    after = client.get(f"/courses/{course}").json
    assert (after["waitlist_capacity"], after["waitlisted"]) == (1, 1)


def test_a_replacement_lists_every_rule_and_uses_overrides(client, term, offer, student):
    course = offer(capacity=0)
    client.put(f"/terms/{term['code']}/windows", json={"windows": []})
    rules = [("registration-not-open", course), ("course-full", course)]
    assert broken(replace(client, student, course)) == rules
    open_window(client, term)
    body = {"rule": "course-full", "course_id": course, "reason": "The dean agreed"}
    client.post(f"/students/{student}/overrides", json=body)
    assert replace(client, student, course).json["added"] == [course]


def test_an_override_of_the_repeat_limit_has_a_value(client, offer, student):
    course = offer("CS 225", {"max_attempts": 1})
    for term in ("2024-FA", "2025-FA"):
        done = {"catalog_code": "CS 225", "kind": "course", "grade": "F", "term": term}
        client.post(f"/students/{student}/completions", json=done)
    body = {"rule": "repeat-limit", "catalog_code": "CS 225", "reason": "Illness"}
    path = f"/students/{student}/overrides"
    assert client.post(path, json=body | {"value": 2}).status_code == 201
    assert broken(enroll(client, student, course)) == [("repeat-limit", course)]
    assert client.post(path, json=body | {"value": 3}).status_code == 201
    assert enroll(client, student, course).status_code == 201


def test_attempts_in_two_parts_of_a_term_are_one(client, term, part, offer, student):
    other = {"code": "2026-FA-2", "name": "Second half", "parent": term["code"]}
    client.post("/terms", json=other | {"starts_on": "2026-10-19", "ends_on": "2026-12-18"})
    first = offer("CS 225", {"max_attempts": 1}, term=part["code"])
    second = offer(term="2026-FA-2", catalog_code="CS 225")
    assert enroll(client, student, first).status_code == 201
    past = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
    client.patch(f"/terms/{part['code']}", json=past | {"withdraw_until": moment(days=1)})
    assert client.delete(f"/students/{student}/courses/{first}").status_code == 204
    assert enroll(client, student, second).status_code == 201


def test_what_excludes_an_entry_excludes_those_that_are_the_same(client, offer, student):
    client.post(
        "/catalog", json={"code": "Y 1", "title": "y", "credits_min": 1, "excludes": ["Z 1"]}
    )
    course = offer("X 1", {"same_as": ["Y 1"]})
    done = {"catalog_code": "Z 1", "kind": "course", "grade": "A"}
    client.post(f"/students/{student}/completions", json=done)
    assert broken(enroll(client, student, course)) == [("excluded-by", course)]


def test_a_move_and_a_reinstatement_keep_the_credits(client, term, offer, student):
    """A reinstatement also takes back the completion of the withdrawal."""
    first = offer("CS 225", credits_min=1, credits_max=4)
    second = offer(catalog_code="CS 225", credits_min=1, credits_max=4)
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": first, "credits": 2.5}).status_code == 201
    body = {"to": second, "student_ids": [student]}
    assert client.post(f"/courses/{first}/move", json=body).status_code == 200
    assert client.get(f"{path}/{second}").json["credits"] == 2.5
    past = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
    client.patch(f"/terms/{term['code']}", json=past | {"withdraw_until": moment(days=1)})
    assert client.delete(f"{path}/{second}").status_code == 204
    (withdrawn,) = client.get(f"/students/{student}/completions").json
    assert (withdrawn["kind"], withdrawn["credits"]) == ("withdrawn", 2.5)
    body = {"student_ids": [student]}
    assert client.post(f"/courses/{second}/reinstate", json=body).status_code == 200
    assert client.get(f"{path}/{second}").json["credits"] == 2.5
    assert client.get(f"/students/{student}/completions").json == []


def test_a_setting_makes_conditions_in_words_refuse(app, client, make_app, offer, student):
    course = offer("CS 1", {"prerequisites": {"text": "consent of the head"}})
    url = app.config["SQLALCHEMY_DATABASE_URI"].render_as_string(hide_password=False)
    strict = make_app(url, text_refuses=True).test_client()
    assert broken(enroll(strict, student, course)) == [("prerequisite-missing", course)]
    answer = enroll(client, student, course)
    assert (answer.status_code, len(answer.json["warnings"])) == (201, 1)


@pytest.fixture
def late(client, term):
    """Drops of the term are withdrawals from now on; call it with a hold to block them too."""

    def go(student):
        hold = {"code": "library", "detail": "Books are missing.", "blocks": ["drop"]}
        client.post(f"/students/{student}/holds", json=hold)
        deadlines = {"add_until": moment(days=-3), "drop_until": moment(days=-2)}
        later = {"withdraw_until": moment(days=1)}
        client.patch(f"/terms/{term['code']}", json=deadlines | later)

    return go


DROPS = {
    "one": lambda client, student, course, **body: client.delete(
        f"/students/{student}/courses/{course}?rules=skip", json=body
    ),
    "roster": lambda client, student, course, **body: client.post(
        f"/courses/{course}/drop?rules=skip", json={"student_ids": [student]} | body
    ),
    "changes": lambda client, student, course, **body: client.post(
        f"/students/{student}/changes?rules=skip", json={"drop": [course]} | body
    ),
}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_a_system_of_record_states_plain_drops(client, offer, student, late, drop):
    """Neither a hold nor a deadline counts, and no withdrawal is written."""
    course = offer("CS 225")
    assert enroll(client, student, course).status_code == 201
    late(student)
    without = drop(client, student, course)
    assert (problem(without), without.json["errors"][0]["pointer"]) == ((422, "invalid"), "/reason")
    assert drop(client, student, course, reason="From the old system").status_code in (200, 204)
    assert client.get(f"/students/{student}/enroll").json["course_ids"] == []
    assert client.get(f"/students/{student}/completions").json == []


def test_a_drop_without_a_body_does_not_skip_the_rules(client, offer, student):
    course = offer()
    assert enroll(client, student, course).status_code == 201
    answer = client.delete(f"/students/{student}/courses/{course}?rules=skip")
    assert (problem(answer), answer.json["errors"][0]["pointer"]) == ((422, "invalid"), "/reason")


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_only_a_registrar_drops_without_the_rules(
    client, guarded, new_key, offer, student, late, drop
):
    course = offer("CS 225")
    assert enroll(client, student, course).status_code == 201
    late(student)
    scopes = (["enrollments:write"], ["enrollments:write", "registrar"])
    tokens = [new_key(*some, name=f"Key {len(some)}") for some in scopes]
    asking = guarded.test_client()
    statuses = []
    for token in tokens:
        asking.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        statuses.append(drop(asking, student, course, reason="x").status_code)
    assert statuses in ([403, 200], [403, 204])


def test_the_record_says_which_requests_skipped_the_rules(app, client, offer, student, make):
    """Neither other events of the request, such as promotions, nor other requests say so."""
    course, waiting = offer("CS 225", capacity=1, waitlist_capacity=1), make.student()["id"]
    body = {"course_ids": [course], "reason": "From the old system"}
    assert client.post(f"/students/{student}/enroll?rules=skip", json=body).status_code == 201
    assert enroll(client, waiting, course, waitlist=True).status_code == 201
    assert DROPS["one"](client, student, course, reason="Same").status_code == 204
    with app.app_context(), transaction(writing=False) as session:
        wanted = sa.select(events).where(events.c.type == "enrollment.changed")
        rows = session.execute(wanted.order_by(events.c.id)).all()
    shown = [(row.student_id, row.why, (row.data or {}).get("rules")) for row in rows]
    assert shown == [
        (student, "requested", "skipped"),
        (waiting, "requested", None),
        (student, "dropped", "skipped"),
        (waiting, "promoted", None),
    ]
    assert [(row.data or {}).get("credits") for row in rows] == [3, 3, 3, None]
    history = client.get(f"/students/{student}/history").json
    assert [one.get("rules") for one in history] == ["skipped", "skipped"]
    assert "rules" not in client.get(f"/students/{waiting}/history").json[0]


def test_a_drop_hold_never_keeps_a_student_on_a_waitlist(client, offer, student, late):
    course = offer("CS 225", capacity=0, waitlist_capacity=1)
    assert enroll(client, student, course, waitlist=True).status_code == 201
    late(student)
    assert client.delete(f"/students/{student}/courses/{course}").status_code == 204
    assert client.get(f"/students/{student}/completions").json == []


def test_the_record_has_each_use_of_an_override_and_each_choice_of_credits(
    app, client, term, offer, student
):
    client.patch(f"/terms/{term['code']}", json={"max_credits": 1})
    course = offer(credits_min=1, credits_max=4)
    override = {"rule": "credits-exceeded", "term": term["code"], "value": 4, "reason": "Good"}
    made = client.post(f"/students/{student}/overrides", json=override).json
    path = f"/students/{student}/courses"
    assert client.post(path, json={"course_id": course}).status_code == 201
    assert client.post(path, json={"course_id": course, "credits": 2.5}).status_code == 200
    with app.app_context(), transaction(writing=False) as session:
        rows = session.execute(sa.select(events).order_by(events.c.id)).all()
    used = [row.data for row in rows if row.type == "override.used"]
    assert used == [{"override_id": made["id"], "rule": "credits-exceeded"}]
    chosen = [row.data["credits"] for row in rows if row.type == "enrollment.changed"]
    assert chosen == [1, 2.5]


def test_a_refusal_lists_a_thousand_rules_and_counts_all(client, offer, make):
    course = offer(consent="instructor", open_to={"group": "program:cs"})
    students = [make.student()["id"] for _ in range(501)]
    refused = client.post(f"/courses/{course}/students", json={"student_ids": students})
    assert problem(refused) == (409, "rules-broken")
    assert (len(refused.json["broken"]), refused.json["broken_count"]) == (1000, 1002)


def test_only_drops_are_withdrawals(client, offer, student, make, late):
    """Neither a move nor a cancellation nor a deletion writes a completion."""
    first, second, third = offer("A 1"), offer("B 1"), offer("C 1")
    assert enroll(client, student, first, third).status_code == 201
    late(student)
    body = {"to": second, "all": True}
    assert client.post(f"/courses/{first}/move", json=body).status_code == 200
    for course in (second, third):
        assert client.post(f"/courses/{course}/cancel").status_code == 200
    assert client.get(f"/students/{student}/completions").json == []


def test_skipping_the_rules_does_not_open_a_closed_course(client, offer, student):
    course = offer()
    client.patch(f"/courses/{course}", json={"status": "closed"})
    path, body = f"/students/{student}/enroll?rules=skip", {"course_ids": [course], "reason": "x"}
    assert problem(client.post(path, json=body)) == (409, "course-closed")


def test_every_hold_is_listed_and_an_old_fault_is_not(client, term, offer, student):
    one, two, small = offer(credits_min=4), offer(credits_min=4), offer(credits_min=1)
    assert enroll(client, student, one, two).status_code == 201
    client.patch(f"/terms/{term['code']}", json={"max_credits": 6})
    body = {"add": [{"course_id": small}], "drop": [two]}
    for code in ("fees", "library"):
        hold = {"code": code, "detail": code, "blocks": ["add"]}
        client.post(f"/students/{student}/holds", json=hold)
    refused = client.post(f"/students/{student}/changes", json=body)
    assert broken(refused) == [("hold", None), ("hold", None)]
    for hold in client.get(f"/students/{student}/holds").json:
        path = f"/students/{student}/holds/{hold['id']}/release"
        client.post(path, json={"reason": "Paid"})
    client.patch(f"/terms/{term['code']}", json={"max_credits": 2})
    assert client.post(f"/students/{student}/changes", json=body).status_code == 200
