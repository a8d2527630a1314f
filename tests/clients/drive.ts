// Drives the service with the client that openapi-typescript generates; `node drive.js http://…/api/v1`.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const api = createClient<paths>({ baseUrl: process.argv[2]! });
const mark = process.argv[3]!;

async function createCourse(name: string, capacity: number): Promise<components["schemas"]["CourseOut"]> {
  const { data } = await api.POST("/courses", { body: { name: `${mark} ${name}`, level: mark, capacity, waitlist_capacity: 1 } });
  assert(data);
  return data;
}

async function createStudent(name: string): Promise<number> {
  const { data } = await api.POST("/students", { body: { name }, params: { header: { "Idempotency-Key": `${mark}-${name}` } } });
  assert(data);
  return data.id; // a number, not `number | undefined`
}

async function enroll(student_id: number, course_id: number, waitlist?: boolean) {
  const body = waitlist === undefined ? { course_ids: [course_id] } : { course_ids: [course_id], waitlist };
  return api.POST("/students/{student_id}/enroll", { params: { path: { student_id } }, body });
}

const courses = [await createCourse("A", 1), await createCourse("B", 9), await createCourse("C", 9)];
const [ada, alan] = [await createStudent("Ada"), await createStudent("Alan")];
assert.equal(ada, await createStudent("Ada")); // the same Idempotency-Key

// A list, page by page.
const seen: number[] = [];
let cursor: string | undefined;
do {
  const query = { level: mark, limit: 2, sort: "-name" as const, ...(cursor === undefined ? {} : { cursor }) };
  const { data, response } = await api.GET("/courses", { params: { query } });
  seen.push(...data!.map((course) => course.id));
  cursor = response.headers.get("Link")?.match(/[?&]cursor=([^&>]+)/)?.[1];
} while (cursor !== undefined);
assert.deepEqual(seen, courses.map((course) => course.id).reverse());

// An enrollment, a refused one, and a waitlist position.
const course = courses[0]!;
assert.deepEqual((await enroll(ada, course.id)).data?.added, [course.id]);
const refused = await enroll(alan, course.id);
assert(refused.error?.type === "/problems/course-full"); // narrows the union: `courses` has a type from here on
const status: 409 = refused.error.status;
assert.equal(status, refused.response.status);
assert.deepEqual(refused.error.courses.map(({ id, waitlist_open }) => [id, waitlist_open]), [[course.id, true]]);
assert.deepEqual((await enroll(alan, course.id, true)).data?.waitlisted, [course.id]);

// Faults by their place in the body.
const invalid = await api.POST("/students", { body: { name: " " } });
assert(invalid.error?.type === "/problems/invalid");
assert.deepEqual(invalid.error.errors.map((fault) => fault.pointer), ["/name"]);

// ETag and If-Match.
const path = { course: String(course.id) };
const read = await api.GET("/courses/{course}", { params: { path } });
const etag = read.response.headers.get("ETag")!;
const same = await api.GET("/courses/{course}", { params: { path, header: { "If-None-Match": etag } } });
assert.equal(same.response.status, 304);
const change = { params: { path, header: { "If-Match": etag } }, body: { external_id: mark } };
assert.equal((await api.PATCH("/courses/{course}", change)).data?.external_id, mark);
const stale = await api.PUT("/courses/{course}", { ...change, body: { capacity: null } });
assert(stale.error?.type === "/problems/stale");
