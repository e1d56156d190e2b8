// Whether a page of an origin may send what the package sends: a browser asks the server before it does.

const COMMON = ["apikey", "authorization", "content-type"];
const TUS = ["tus-resumable", "upload-length", "upload-metadata", "upload-offset", "x-upsert"];
const REMEDY =
  "Let the gateway in front of the project answer preflights with this origin, these methods and these headers. " +
  "A hosted project does it by itself: is the address the project's own?";

const PROFILES = ["accept-profile", "content-profile"];

/** What a page asks for: where, how, with which headers. */
const preflights = ({ bucket, table }) => [
  [`/rest/v1/${table}`, "POST", [...COMMON, ...PROFILES, "prefer"]],
  [`/rest/v1/${table}`, "GET", ["apikey", "authorization", "accept-profile"]],
  [`/rest/v1/${table}`, "DELETE", ["apikey", "authorization", ...PROFILES, "prefer"]],
  [`/storage/v1/object/${bucket}/x`, "PUT", [...COMMON, "x-upsert", "cache-control"]],
  [`/storage/v1/object/${bucket}`, "DELETE", COMMON],
  [`/storage/v1/object/sign/${bucket}/x`, "POST", COMMON],
  [`/storage/v1/object/sign/${bucket}`, "POST", COMMON],
  ["/storage/v1/upload/resumable", "POST", [...COMMON, ...TUS]],
  ["/storage/v1/upload/resumable/x", "PATCH", [...COMMON, ...TUS]],
  ["/storage/v1/upload/resumable/x", "DELETE", [...COMMON, ...TUS]],
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

/** Whether a page may read the headers of an answer that resumable uploads go on by. A page itself sees of the first alone. */
export function checkExposed({ headers }, settings, report) {
  const exposed = (headers.get("access-control-expose-headers") ?? "").toLowerCase().split(/[\s,]+/);
  const isHidden = (name) => !exposed.includes(name) && !exposed.includes("*");
  const hidden = settings.inBrowser
    ? ["location"].filter((name) => !headers.has(name))
    : ["location", "upload-offset"].filter(isHidden);
  const remedy = "Let the gateway expose Location, Upload-Offset and Upload-Length (Access-Control-Expose-Headers).";
  const names = hidden.join(" and ");
  if (names) report.wrong("cors", `a page may not read ${names}, by which its resumable uploads go on`, remedy);
}
