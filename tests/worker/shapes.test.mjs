// What callers send, as it is described once: which field is at fault, and that nothing that came is quoted.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { importModule } from "./modules.mjs";

let shapes;
before(async () => {
  shapes = await importModule("shapes.ts");
});

const LONG = "eyJ".repeat(1_000);
const wish = (changes) => ({ size: 70, mimeType: "image/png", ...changes });

/** Code, field and text of the refusal. */
function refusal(shape, value) {
  try {
    shapes.read(shape, value);
  } catch ({ code, field, detail }) {
    return { code, field, detail };
  }
  assert.fail("it was taken");
}

test("each_field_that_is_refused_is_named_and_its_value_is_not_quoted", () => {
  const { RequestShape, WishShape, SignShape } = shapes;
  for (const [shape, value, code, field] of [
    [RequestShape, { imageId: LONG }, "invalid_request", "imageId"],
    [RequestShape, { imageId: 7 }, "invalid_request", "imageId"],
    [RequestShape, { ownerUserId: LONG }, "owner_not_allowed", "ownerUserId"],
    [RequestShape, { pathPrefix: null }, "owner_not_allowed", "pathPrefix"],
    [RequestShape, { image: LONG }, "invalid_request", "image"],
    [RequestShape, { model: LONG }, "invalid_request", "model"],
    [RequestShape, { prompt: { text: LONG } }, "invalid_request", "prompt"],
    [RequestShape, { sidecar: { text: LONG.repeat(100) } }, "invalid_request", "sidecar"],
    [WishShape, wish({ size: "70" }), "invalid_request", "size"],
    [WishShape, wish({ size: 0.5 }), "invalid_request", "size"],
    [WishShape, { mimeType: "image/png" }, "invalid_request", "size"],
    [WishShape, wish({ mimeType: LONG }), "invalid_image", "mimeType"],
    [WishShape, { size: 70 }, "invalid_image", "mimeType"],
    [SignShape, { ttl: "60" }, "invalid_request", "path"],
    [SignShape, { path: "" }, "invalid_request", "path"],
    [SignShape, { path: "a", ttl: "86401" }, "invalid_request", "ttl"],
    [SignShape, { path: "a", ttl: "0" }, "invalid_request", "ttl"],
    [SignShape, { path: "a", ttl: LONG }, "invalid_request", "ttl"],
  ]) {
    const told = refusal(shape, value);
    assert.deepEqual([told.code, told.field], [code, field], JSON.stringify(value).slice(0, 80));
    assert.doesNotMatch(told.detail, /eyJ/);
    assert.ok(told.detail.length < 200, told.detail);
  }
});

test("what_is_taken_comes_out_as_the_package_and_the_database_have_it", () => {
  const { RequestShape, SignShape, read } = shapes;
  const id = "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE";
  assert.equal(read(RequestShape, { imageId: id }).imageId, id.toLowerCase());
  assert.match(read(RequestShape, { imageId: null }).imageId, /^[0-9a-f-]{36}$/);
  assert.notEqual(read(RequestShape, {}).imageId, read(RequestShape, {}).imageId);
  assert.equal(read(RequestShape, { seed: "-9223372036854775808" }).seed, -(2n ** 63n));
  assert.equal(read(RequestShape, { seed: 42 }).seed, 42);
  assert.equal(read(RequestShape, { seed: "forty" }).seed, "forty");
  assert.equal(read(RequestShape, { model: null }).model, null);
  assert.deepEqual(read(SignShape, { path: "a/b" }), { path: "a/b", ttl: 3_600 });
});

test("limits_are_in_bytes_of_UTF_8", () => {
  const { RequestShape, read } = shapes;
  assert.equal(read(RequestShape, { model: "x".repeat(255) }).model.length, 255);
  assert.equal(refusal(RequestShape, { model: "ü".repeat(128) }).detail, "model may have 255 bytes.");
});
