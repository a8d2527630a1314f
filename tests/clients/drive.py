"""Drives the service with the client that openapi-python-client generates: `python drive.py
http://…/api/v1 mark`.
"""

from __future__ import annotations

import re
import sys

from course_client import Client
from course_client.api.courses import (
    create_course,
    get_course,
    list_courses,
    patch_course,
    update_course,
)
from course_client.api.enrollments import enroll_student
from course_client.api.students import create_student
from course_client.models.course_full_problem import CourseFullProblem
from course_client.models.course_ids_request import CourseIdsRequest
from course_client.models.course_in import CourseIn
from course_client.models.course_in_change import CourseInChange
from course_client.models.course_out import CourseOut
from course_client.models.invalid_problem import InvalidProblem
from course_client.models.list_courses_sort import ListCoursesSort
from course_client.models.stale_problem import StaleProblem
from course_client.models.student_in import StudentIn
from course_client.models.student_out import StudentOut
from course_client.models.student_result import StudentResult
from course_client.types import UNSET, Unset

api, mark = Client(base_url=sys.argv[1]), sys.argv[2]


def new_course(name: str, capacity: int) -> CourseOut:
    body = CourseIn(name=f"{mark} {name}", level=mark, capacity=capacity, waitlist_capacity=1)
    made = create_course.sync(client=api, body=body)
    assert isinstance(made, CourseOut), made
    return made


def new_student(name: str) -> int:
    made = create_student.sync(
        client=api, body=StudentIn(name=name), idempotency_key=f"{mark}-{name}"
    )
    assert isinstance(made, StudentOut), made
    return made.id  # an int, not `int | Unset`


courses = [new_course("A", 1), new_course("B", 9), new_course("C", 9)]
ada, alan = new_student("Ada"), new_student("Alan")
assert ada == new_student("Ada")  # the same Idempotency-Key

# A list, page by page.
seen: list[int] = []
cursor: str | Unset | None = UNSET
while cursor is not None:
    page = list_courses.sync_detailed(
        client=api, level=mark, limit=2, sort=ListCoursesSort.NAME_DESCENDING, cursor=cursor
    )
    assert isinstance(page.parsed, list), page
    seen += [course.id for course in page.parsed]
    following = re.search("[?&]cursor=([^&>]+)", page.headers.get("Link", ""))
    cursor = following[1] if following else None
assert seen == [course.id for course in reversed(courses)], seen

# An enrollment, a refused one, and a waitlist position.
course = courses[0]
given = enroll_student.sync(ada, client=api, body=CourseIdsRequest(course_ids=[course.id]))
assert isinstance(given, StudentResult), given
assert given.added == [course.id]
refused = enroll_student.sync(alan, client=api, body=CourseIdsRequest(course_ids=[course.id]))
assert isinstance(refused, CourseFullProblem), refused
assert [(full.id, full.waitlist_open) for full in refused.courses] == [(course.id, True)]
waiting = enroll_student.sync(
    alan, client=api, body=CourseIdsRequest(course_ids=[course.id], waitlist=True)
)
assert isinstance(waiting, StudentResult), waiting
assert waiting.waitlisted == [course.id]

# The pointers of faults into the body.
invalid = create_student.sync(client=api, body=StudentIn(name=" "))
assert isinstance(invalid, InvalidProblem), invalid
assert [fault.pointer for fault in invalid.errors] == ["/name"]

# ETag and If-Match.
etag = get_course.sync_detailed(str(course.id), client=api).headers["ETag"]
assert get_course.sync_detailed(str(course.id), client=api, if_none_match=etag).status_code == 304
changed = patch_course.sync(
    str(course.id), client=api, body=CourseInChange(external_id=mark), if_match=etag
)
assert isinstance(changed, CourseOut), changed
assert changed.external_id == mark
stale = update_course.sync(
    str(course.id), client=api, body=CourseInChange(capacity=None), if_match=etag
)
assert isinstance(stale, StaleProblem), stale
