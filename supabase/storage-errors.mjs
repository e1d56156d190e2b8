// The errors of Supabase Storage: HTTP 400 with the real code in the body.

const BY_CODE = {
  AccessDenied: { statusCode: "403", error: "Unauthorized" },
  DatabaseError: { statusCode: "500", error: "DatabaseError" },
  EntityTooLarge: { statusCode: "413", error: "Payload too large" },
  InvalidJWT: { statusCode: "400", error: "InvalidJWT" },
  InvalidKey: { statusCode: "400", error: "InvalidKey" },
  InvalidMimeType: { statusCode: "415", error: "invalid_mime_type" },
  InvalidRequest: { statusCode: "400", error: "InvalidRequest" },
  InvalidSignature: { statusCode: "400", error: "InvalidSignature" },
  KeyAlreadyExists: { statusCode: "409", error: "Duplicate" },
  NoRelatedResource: { statusCode: "404", error: "InvalidRequest", code: "InvalidRequest" },
  NoSuchBucket: { statusCode: "404", error: "Bucket not found" },
  NoSuchKey: { statusCode: "404", error: "not_found" },
};

/** What lite calls its errors, by its statusCode and error. */
const CODE_OF_LITE = {
  "400 Invalid key": "InvalidKey",
  "401 InvalidJWT": "AccessDenied",
  "403 Unauthorized": "AccessDenied",
  "404 Bucket not found": "NoSuchBucket",
  "404 InvalidRequest": "NoRelatedResource",
  "404 not_found": "NoSuchKey",
  "409 Duplicate": "KeyAlreadyExists",
  "413 Payload too large": "EntityTooLarge",
  "415 invalid_mime_type": "InvalidMimeType",
};

export class StorageError extends Error {
  /** @param {{ statusCode: string, error: string, message: string, code?: string }} body */
  constructor(body) {
    super(body.message);
    this.body = body;
  }

  static fromLite({ statusCode, error, message }) {
    const code = CODE_OF_LITE[`${statusCode} ${error}`];
    return code === undefined ? new StorageError({ statusCode, error, message }) : storageError(code, message);
  }

  toResponse() {
    return Response.json(this.body, { status: this.body.statusCode === "500" ? 500 : 400 });
  }
}

/**
 * @param {keyof typeof BY_CODE} code
 * @param {string} message
 */
export function storageError(code, message) {
  return new StorageError({ message, code, ...BY_CODE[code] });
}

/** @param {string} key */
export function invalidKey(key) {
  return storageError("InvalidKey", `Invalid key: ${key}`);
}
