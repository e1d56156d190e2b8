// Whether a page of an origin may send what the package sends: a browser asks the server before it does.

const COMMON = ["apikey", "authorization", "content-type"];
const TUS = ["tus-resumable", "upload-length", "upload-metadata", "upload-offset", "x-upsert"];
const REMEDY =
  "Let the gateway in front of the project answer preflights with this origin, these methods and these headers. " +
  "A hosted project does it by itself: is the address the project's own?";

/** What a page asks for: where, how, with which headers. */
const preflights = ({ bucket, table }) => [
  [`/rest/v1/${table}`, "POST", [...COMMON, "content-profile", "prefer"]],
  [`/rest/v1/${table}`, "GET", ["apikey", "authorization", "accept-profile"]],
  [`/storage/v1/object/${bucket}/x`, "PUT", [...COMMON, "x-upsert", "cache-control"]],
  [`/storage/v1/object/sign/${bucket}/x`, "POST", COMMON],
  ["/storage/v1/upload/resumable", "POST", [...COMMON, ...TUS]],
  ["/storage/v1/upload/resumable/x", "PATCH", [...COMMON, ...TUS]],
];

export async function checkCors(project, settings, report) {
  for (const [target, method, wanted] of preflights(settings)) {
    const { status, headers } = await project.send(`${project.base}${target}`, {
      method: "OPTIONS",
      headers: {
        origin: settings.origin,
        "access-control-request-method": method,
        "access-control-request-headers": wanted.join(","),
      },
    });
    const fault = faultOf({ status, headers, origin: settings.origin, method, wanted });
    if (fault)
      return report.wrong("cors", `a page of ${settings.origin} may not send ${method} ${target}: ${fault}`, REMEDY);
  }
  report.ok("cors", `a page of ${settings.origin} may send all that is needed`);
}

function faultOf({ status, headers, origin, method, wanted }) {
  const list = (name) => (headers.get(name) ?? "").toLowerCase().split(/[\s,]+/);
  const allowed = headers.get("access-control-allow-origin");
  if (status < 200 || status > 299) return `the preflight is answered with ${status}`;
  if (allowed !== "*" && allowed !== origin) return `the answer allows ${allowed ?? "no origin"}`;
  const methods = list("access-control-allow-methods");
  // GET and POST need no leave.
  const isFree = method === "GET" || method === "POST";
  if (!isFree && !methods.includes(method.toLowerCase()) && !methods.includes("*")) return `the method is not allowed`;
  const names = list("access-control-allow-headers");
  // `*` stands for all but this one.
  const missing = wanted.filter((name) => !names.includes(name) && !(names.includes("*") && name !== "authorization"));
  return missing.length > 0 ? `these headers are not allowed: ${missing.join(", ")}` : undefined;
}

/** Whether a page may read the header of an answer that resumable uploads go on by. */
export function checkExposed({ headers }, settings, report) {
  const readable = settings.inBrowser
    ? headers.has("location")
    : /\blocation\b|\*/i.test(headers.get("access-control-expose-headers") ?? "");
  const remedy = "Let the gateway expose Location, Upload-Offset and Upload-Length (Access-Control-Expose-Headers).";
  if (!readable) report.wrong("cors", "a page may not read where its resumable upload lies", remedy);
}
