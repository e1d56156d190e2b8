// Records of outboxes of before, which held a job's row and request as texts, and what is beside them in no columns.

/**
 * A record as this version has it; the same of one that is so already, or that nobody can read.
 * @param {import("./records.js").JobRecord} record @param {string} ownerUserId
 * @returns {import("./records.js").JobRecord}
 */
export function renewed(record, ownerUserId) {
  try {
    const { row: rowText, request: requestText, ...job } = JSON.parse(record.text);
    if (typeof rowText !== "string") return record;
    const row = JSON.parse(rowText);
    const { sidecar, costUsdEstimate, ...request } = JSON.parse(requestText);
    const isOwners = row.owner_user_id.toLowerCase() === ownerUserId.toLowerCase();
    if (!isOwners || row.id !== job.id || row.storage_path !== job.storagePath || request.imageId !== job.id)
      return record;
    if (sidecar) request.sidecar = JSON.stringify(sidecar);
    if (costUsdEstimate !== undefined) request.costUsdEstimate = JSON.stringify(costUsdEstimate);
    const { id, storagePath, size } = record;
    const text = JSON.stringify({ ...job, request, width: row.width ?? 0, height: row.height ?? 0 });
    return { id, storagePath, size, text, ...waits(job) };
  } catch {
    return record;
  }
}

/** What the store looks at of a job that waits. */
function waits({ state, notBefore, waitSetAt, isSuspect }) {
  if (state === "failed") return {};
  return { notBefore, ...(waitSetAt > 0 && { waitSetAt }), ...(isSuspect && { suspect: 1 }) };
}
