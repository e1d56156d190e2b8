// The bucket, its limits, and what a user may do with objects. Resumable uploads are begun and given up: all but the one
// object that is tried out is found without storing anything.

import { uuid } from "../uuid.js";
import { checkExposed } from "./cors.js";
import { addAsServer, NEWER, seesRow } from "./database.js";
import { escaped } from "./project.js";

const TYPES = ["image/png", "image/jpeg", "image/webp", "image/avif", "image/gif"];
export const RESUMABLE = "/storage/v1/upload/resumable";
const BUCKET =
  "The migrations make it: `npx --no-install imagen-cloud migration` prints them, the dashboard's SQL editor runs them.";
const POLICIES =
  "The migrations make the policies: `npx --no-install imagen-cloud migration` prints them. Drop policies of your own that say otherwise.";
const BYTES = new Uint8Array([0x89, 0x50, 0x4e, 0x47]);

const nameOf = (folder) => `${folder}/imagen-cloud-doctor-${uuid()}.png`;
/** Where an object is, or what is asked of it. */
export const target = ({ bucket }, path, route = "object") =>
  `/storage/v1/${route}/${escaped(bucket)}/${escaped(path)}`;
const isMissing = ({ code, status, message }) => status === 404 && /bucket/i.test(`${code} ${message}`);

/** Begins a resumable upload, which Storage judges by its size, type and place, and gives it up. */
async function tryUpload(project, settings, who, { path, type = TYPES[0], size = 1, upsert = true }) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const metadata = { bucketName: settings.bucket, objectName: path, contentType: type };
  const pairs = Object.entries(metadata).map(([name, value]) => `${name} ${base64(value)}`);
  const tus = { "tus-resumable": "1.0.0", ...(upsert && { "x-upsert": "true" }) };
  const headers = { ...tus, "upload-length": String(size), "upload-metadata": pairs.join(",") };
  if (settings.origin && !settings.inBrowser) headers.origin = settings.origin;
  const answer = await project.ask(who, "POST", RESUMABLE, { headers });
  const id = answer.headers.get("location")?.split(/[?#]/)[0].split("/").at(-1);
  if (answer.ok && id) await project.ask(who, "DELETE", `${RESUMABLE}/${id}`, { headers: tus });
  return answer;
}

/** @returns whether the bucket is there */
export async function checkBucket(project, settings, report, who, folder) {
  const { bucket, largestImage } = settings;
  const answer = await tryUpload(project, settings, who, { path: nameOf(folder) });
  if (isMissing(answer)) {
    report.wrong("bucket", `there is no bucket ${bucket}`, BUCKET);
    return false;
  }
  report.ok("bucket", `the bucket ${bucket} is there`);
  if (answer.status === 403) {
    const why = "not checked: this user may add nothing, and only a secret key could tell";
    for (const name of ["bucket-types", "bucket-size"]) report.unchecked(name, why);
    return true;
  }
  if (answer.ok && (settings.origin || settings.inBrowser)) checkExposed(answer, settings, report);
  const answers = await Promise.all(
    TYPES.map((type) => tryUpload(project, settings, who, { path: nameOf(folder), type })),
  );
  const refused = TYPES.filter((_, index) => answers[index].status === 415);
  const fault = answers.find(({ ok, status }) => !ok && status !== 415);
  if (refused.length > 0) {
    report.wrong(
      "bucket-types",
      `the bucket does not take ${refused.join(", ")}`,
      `Add them to the bucket's allowed MIME types, spelled like that. ${BUCKET}`,
    );
  } else if (fault) report.refused("bucket-types", fault, "an upload can't be begun", "See what the answer says.");
  else report.ok("bucket-types", "it takes PNG, JPEG, WebP, AVIF and GIF");
  // A type that is taken, or the answer is about that.
  const type = TYPES.find((type) => !refused.includes(type));
  if (type === undefined) return true;
  const large = await tryUpload(project, settings, who, { path: nameOf(folder), type, size: largestImage });
  const size = `${largestImage} bytes`;
  if (large.status === 413) {
    const remedy =
      "Raise the bucket's file size limit, and the project's global one (dashboard, Storage, Settings); or say by largestImage how large your images get.";
    report.wrong("bucket-size", `it takes no image of ${size}`, remedy);
  } else if (large.ok) report.ok("bucket-size", `it takes images of ${size}`);
  else report.refused("bucket-size", large, `an upload of ${size} can't be begun`, "See what the answer says.");
  return true;
}

const PUBLIC =
  "Make the bucket private (dashboard, Storage, the bucket's settings): whoever knows a path can read the image.";

/** Whether nobody reads an object without leave. A public bucket says of a missing object that it is missing. */
export async function checkPrivate(project, settings, report, path = nameOf("none")) {
  const answer = await project.send(`${project.base}${target(settings, path, "object/public")}`, {
    headers: { apikey: project.apiKey },
  });
  const isOpen = answer.ok || answer.code === "NoSuchKey" || /object not found/i.test(answer.message);
  if (isOpen) report.wrong("bucket-private", `the bucket ${settings.bucket} is public`, PUBLIC);
  else report.ok("bucket-private", "the bucket is private");
}

function put(project, settings, who, path, { upsert = true } = {}) {
  const asked = project.ask(who, upsert ? "PUT" : "POST", target(settings, path), {
    headers: { "content-type": TYPES[0], ...(upsert && { "x-upsert": "true" }) },
    body: BYTES,
  });
  return project.tries(path, () => remove(project, settings, project.secretKey ? "server" : who, path), asked);
}
const look = (project, settings, who, path) => project.ask(who, "GET", target(settings, path, "object/info"));
async function remove(project, settings, who, path) {
  const answer = await project.ask(who, "DELETE", target(settings, path));
  if (answer.ok || answer.status === 404) project.removed(path);
  return answer;
}

/** Tries what a user should be allowed in their own folder, with one object. */
export async function checkOwnObjects(project, settings, report, user) {
  const path = nameOf(user);
  // Not yet an upsert, which needs other policies too.
  const added = await put(project, settings, "user", path, { upsert: false });
  if (!added.ok) {
    return report.refused("objects-add", added, "the user may not add an object to their own folder", POLICIES);
  }
  report.ok("objects-add", "the user may add an object to their own folder");
  const isRead = (await look(project, settings, "user", path)).ok;
  if (isRead) report.ok("objects-read", "the user may read an object of their own folder");
  else report.wrong("objects-read", "the user may not read an object of their own folder", POLICIES);
  const again = await put(project, settings, "user", path);
  if (again.ok) report.ok("objects-overwrite", "the user may overwrite an object of their own folder");
  else if (isRead)
    report.refused("objects-overwrite", again, "the user may not overwrite an object of their own folder", POLICIES);
  else report.unchecked("objects-overwrite", "not checked: who may not read an object can't overwrite it");
  await checkPrivate(project, settings, report, path);
  const removed = await remove(project, settings, "user", path);
  if (removed.ok) return report.ok("objects-remove", "the user may remove an object of their own folder");
  const isGone = project.secretKey && (await remove(project, settings, "server", path)).ok;
  const left = isGone ? "" : ` (${path} is still there: remove it in the dashboard)`;
  report.refused("objects-remove", removed, `the user may not remove an object of their own folder${left}`, POLICIES);
}

/** Tries what a user must not be allowed: to begin an upload to another's folder. (An upsert would need other policies too.) */
export async function checkOthersFolder(project, settings, report) {
  const answer = await tryUpload(project, settings, "user", { path: nameOf(uuid()), upsert: false });
  if (answer.ok) return report.wrong("objects-others", "the user may add objects to another's folder", POLICIES);
  if (answer.status !== 403)
    report.refused("objects-others", answer, "an upload to another's folder is not refused as it should be", POLICIES);
}

/** An object that a server puts into another's folder: the user must not touch it, and reads it once a row of theirs names it. */
export async function checkServersObject(project, settings, report, user) {
  const path = nameOf(uuid());
  const added = await put(project, settings, "server", path);
  if (!added.ok)
    return report.refused(
      "server-images",
      added,
      "a server may not add an object",
      "Is the secret key this project's?",
    );
  try {
    await checkForeign(project, settings, report, path);
    const made = await addAsServer(project, settings, report, user, path);
    if (!made) return;
    const thumbnail = `${path}.thumb`;
    await put(project, settings, "server", thumbnail);
    const seesIt = {
      row: await seesRow(project, settings, made.row),
      image: (await look(project, settings, "user", path)).ok,
      thumbnail: (await look(project, settings, "user", thumbnail)).ok,
    };
    await remove(project, settings, "server", thumbnail);
    await made.remove();
    const lacking = Object.keys(seesIt).filter((what) => !seesIt[what]);
    if (lacking.length > 0) {
      const message = `the user may not read the ${lacking.join(" and the ")} that a server made for them, outside of their folder`;
      report.wrong("server-images", message, `${NEWER} Drop policies of your own that say otherwise.`);
    } else report.ok("server-images", "the user may read what a server made for them");
  } finally {
    await remove(project, settings, "server", path);
  }
}

async function checkForeign(project, settings, report, path) {
  const isPublic = report.isWrong("bucket-private"); // then anybody reads, whatever the policies say
  const may = {
    ...(!isPublic && { read: await look(project, settings, "user", path) }),
    overwrite: await put(project, settings, "user", path),
    remove: await remove(project, settings, "user", path),
  };
  const done = Object.keys(may).filter((what) => may[what].ok);
  if (done.length > 0) report.wrong("objects-others", `the user may ${done.join(" and ")} another's objects`, POLICIES);
}
