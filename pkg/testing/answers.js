// What the servers say, in their own forms.

export const answer = (status, body = "", headers = {}) =>
  new Response([101, 204, 205, 304].includes(status) ? null : body, { status, headers });

/** JSON, in which a bigint has all of its digits. */
export function json(status, value, headers = {}) {
  const marked = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `\u0000${each}` : each));
  const text = marked.replaceAll(/"\\u0000(-?\d+)"/g, "$1");
  return answer(status, text, { "content-type": "application/json", ...headers });
}

/** Storage's errors: HTTP 400 with the real status in the body. */
const STORAGE = {
  AccessDenied: ["403", "Unauthorized", "new row violates row-level security policy"],
  EntityTooLarge: ["413", "Payload too large", "The object exceeded the maximum allowed size"],
  InvalidJWT: ["400", "InvalidJWT", "Invalid Compact JWS"],
  InvalidKey: ["400", "InvalidKey", "Invalid key"],
  InvalidMimeType: ["415", "invalid_mime_type", "mime type is not supported"],
  InvalidRequest: ["400", "InvalidRequest", "the request is not as it should be"],
  InvalidSignature: ["400", "InvalidSignature", "Invalid signature"],
  KeyAlreadyExists: ["409", "Duplicate", "The resource already exists"],
  NoSuchBucket: ["404", "Bucket not found", "Bucket not found"],
  NoSuchKey: ["404", "not_found", "Object not found"],
};

/** PostgREST's errors, by their code: HTTP status and message. */
const DATABASE = {
  22003: [400, "value out of range"],
  22007: [400, "invalid input syntax for a time"],
  22023: [400, "the request is not as it should be"],
  "22P02": [400, "invalid input syntax"],
  23502: [400, "null value in a column violates not-null constraint"],
  23503: [409, 'insert or update on table "images" violates foreign key constraint "images_owner_user_id_is_a_user"'],
  23505: [409, 'duplicate key value violates unique constraint "images_pkey"'],
  23514: [400, 'new row for relation "images" violates check constraint'],
  42501: [403, 'new row violates row-level security policy for table "images"'],
  42703: [400, "column does not exist"],
  PGRST102: [400, "Empty or invalid json"],
  PGRST106: [406, "Invalid schema"],
  PGRST202: [404, "Could not find the function in the schema cache"],
  PGRST204: [400, "Could not find the column in the schema cache"],
  PGRST205: [404, "Could not find the table in the schema cache"],
};

/** A request that is refused: `key` and `token` by both services, all else by the service's own code. */
export class Refusal extends Error {
  constructor(code, message, status) {
    super(message ?? STORAGE[code]?.[2] ?? DATABASE[code]?.[1] ?? code);
    this.code = code;
    this.status = status;
  }

  toResponse(isDatabase) {
    const { code, message } = this;
    if (code === "key") return json(401, { message: "Invalid API key", hint: "Double check your Supabase `apikey`" });
    if (code === "token" && isDatabase) return databaseError(401, "PGRST303", "JWT expired");
    if (code === "token") return storageError("AccessDenied", '"exp" claim timestamp check failed');
    return isDatabase ? databaseError(this.status ?? DATABASE[code][0], code, message) : storageError(code, message);
  }
}

/** The JSON of a request; what is none is refused by this code. */
export function jsonOf({ body }, code, reviver) {
  try {
    return JSON.parse(new TextDecoder().decode(body), reviver);
  } catch {
    throw new Refusal(code);
  }
}

const databaseError = (status, code, message) => json(status, { code, message, details: null, hint: null });
const storageError = (code, message) => {
  const [statusCode, error] = STORAGE[code];
  return json(400, { statusCode, error, message, code });
};
