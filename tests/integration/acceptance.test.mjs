// The acceptance that is made for any running project, here against the embedded one; and that it sees what is bent.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { chromium, tryPromises } from "../acceptance/run.mjs";
import { startEmbedded } from "../support/embedded.mjs";

let backend;
let project;
before(async () => {
  backend = await startEmbedded();
  project = {
    url: backend.url,
    key: backend.publishableKey,
    jwtSecret: backend.jwtSecret,
    secretKey: backend.secretKey,
  };
});
after(() => backend?.close());

const count = () =>
  backend.sql(
    "select (select count(*) from imagen.images)::int as rows, (select count(*) from storage.objects)::int as objects",
  );

test("the_embedded_project_keeps_every_promise_and_nothing_is_left_in_it", async () => {
  const outcomes = await tryPromises({ ...project, browser: await chromium() });
  assert.deepEqual(
    outcomes
      .filter(({ error, skipped }) => error || skipped)
      .map(({ name, error, skipped }) => `${name}: ${error?.stack ?? skipped}`),
    [],
  );
  assert.deepEqual(await count(), [{ rows: 0, objects: 0 }]);
});

const isJson = ({ headers }) => headers["content-type"]?.includes("json");
const change = (answer, edit) => {
  answer.body = Buffer.from(JSON.stringify(edit(JSON.parse(answer.body.toString()))));
};
const rowsOf = (request, edit) => {
  if (request.method !== "POST" || !request.target.startsWith("/rest/v1/images")) return;
  request.body = Buffer.from(edit(request.body.toString()));
};
const isRemoval = ({ method, target }) => method === "DELETE" && target === "/storage/v1/object/imagen-generated";
const flip = (request) => {
  if (request.body.length > 0)
    request.body = Buffer.from(request.body.map((byte, index) => (index === 1000 ? byte ^ 1 : byte)));
};
const asService = (request) => {
  request.headers.apikey = backend.serviceKey;
  request.headers.authorization = `Bearer ${backend.serviceKey}`;
};

/** How the double is bent, and the promise that is broken by it. */
const BENDS = {
  "objects are stored with another byte": {
    breaks: "object_and_row_arrive_as_they_were_sent",
    request: (request) => request.method === "PUT" && flip(request),
  },
  "a row's seed is rounded": {
    breaks: "object_and_row_arrive_as_they_were_sent",
    request: (request) => rowsOf(request, (text) => text.replace("9223372036854775807", "9223372036854774784")),
  },
  "an id is not kept, so that each insert is a new row": {
    breaks: "the_same_id_makes_one_row",
    request: (request) => rowsOf(request, (text) => text.replace(/"id":"[^"]+"/g, () => `"id":"${randomUUID()}"`)),
    answer: (answer, { method, target, body }) => {
      if (method === "POST" && target.startsWith("/rest/v1/images") && answer.status === 201) answer.body = body;
    },
  },
  "a row that is there is told of as an error of the server's": {
    breaks: "a_lost_answer_makes_no_second_row",
    answer: (answer) => {
      if (answer.status === 409) Object.assign(answer, { status: 500, body: Buffer.from('{"code":"XX000"}') });
    },
  },
  "links of names with a comma are dead": {
    breaks: "links_work_for_every_legal_character",
    answer: (answer, { target }) =>
      target.startsWith("/storage/v1/object/sign/") &&
      isJson(answer) &&
      change(answer, (body) =>
        Array.isArray(body)
          ? body.map((each) => ({ ...each, signedURL: each.signedURL?.replace(/,(.*)token=/, "%2C$1token=x") ?? null }))
          : body,
      ),
  },
  "links never end": {
    breaks: "links_end_and_belong_to_one_object",
    request: (request) => {
      if (request.method === "GET" && request.target.includes("/object/sign/")) {
        request.target = request.target.replace("/object/sign/", "/object/").replace(/\?.*/, "");
        asService(request);
      }
    },
  },
  "a resumed upload has another byte": {
    breaks: "a_large_image_resumes_after_cuts",
    request: (request) => request.method === "PATCH" && flip(request),
  },
  "of many rows the last is forgotten": {
    breaks: "many_images_arrive_each_with_its_row",
    request: (request) =>
      rowsOf(request, (text) =>
        text.startsWith("[") && !text.includes("},{") ? text : text.replace(/,\{[^{}]*\}\]$/, "]"),
      ),
    answer: (answer, request) => {
      if (request.method === "POST" && request.target.startsWith("/rest/v1/images"))
        answer.body = request.whole ?? answer.body;
    },
  },
  "the bucket takes any type": {
    breaks: "a_type_that_the_bucket_does_not_take_is_refused_by_name",
    request: (request) => {
      if (request.method === "PUT") request.headers["content-type"] = "image/png";
    },
  },
  "expired tokens are good": {
    breaks: "a_refused_token_is_asked_for_anew",
    request: asServiceWhenSending,
  },
  "whoever signs may sign anything": {
    breaks: "nobody_reaches_anothers_objects",
    request: (request) => request.target.includes("/object/sign/") && asService(request),
  },
  "everybody reads all rows": {
    breaks: "nobody_reaches_anothers_rows",
    request: (request) => request.method === "GET" && request.target.startsWith("/rest/v1/") && asService(request),
  },
  "a list leaves one out": {
    breaks: "a_users_images_are_listed_page_by_page_and_nobody_elses",
    says: /each once/,
    answer: (answer, { method, target }) =>
      method === "GET" && target.includes("order=") && change(answer, (rows) => rows.filter((_, index) => index !== 1)),
  },
  "what is removed is there all the same": {
    breaks: "what_is_removed_is_gone_with_its_row_and_may_be_removed_again",
    request: (request) => {
      if (!isRemoval(request)) return;
      request.asked = JSON.parse(request.body.toString()).prefixes;
      request.body = Buffer.from('{"prefixes":["nothing.png"]}');
    },
    answer: (answer, request) =>
      isRemoval(request) &&
      change(answer, () => request.asked.map((name) => ({ name, bucket_id: "imagen-generated" }))),
  },
  "the links that the Worker gives are dead": {
    breaks: "the_worker_sends_lists_and_removes_for_its_user_alone",
    says: /by its link/,
    answer: (answer, { method, target }) =>
      method === "POST" &&
      target.startsWith("/storage/v1/object/sign/") &&
      change(answer, (body) =>
        Array.isArray(body)
          ? body.map((each) => ({ ...each, signedURL: each.signedURL?.replace("token=", "token=x") ?? null }))
          : body,
      ),
  },
};

function asServiceWhenSending(request) {
  if (request.method === "PUT" || (request.method === "POST" && request.target.startsWith("/rest/v1/")))
    asService(request);
}

for (const [what, { breaks, says = /./, request, answer }] of Object.entries(BENDS)) {
  test(`the acceptance sees by name that ${what}`, async () => {
    const outcomes = await tryPromises({ ...project, only: [breaks], bend: { request, answer } });
    assert.match(outcomes[0].error?.message ?? "", says, `${breaks} is kept all the same`);
    assert.equal(outcomes[0].name, breaks);
    await backend.script("delete from imagen.images; delete from storage.objects");
  });
}
