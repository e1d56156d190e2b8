import type { Removal } from "../control/removal";
import { quoted } from "../name";
import { state } from "../state";

/** What was deleted last, while that can be undone; or why it could not be. */
export function RemovedBar({ control }: { control: Removal }) {
  const now = state.removed.value;
  // There before it has something to say, so that it is said.
  return (
    <div role="status" className="removed-place">
      {now && (
        <div className="removed" id="removed">
          <p dir="auto">
            {now.problem === ""
              ? `${quoted(now.tile.row.prompt)} is deleted.`
              : `${quoted(now.tile.row.prompt)} could not be deleted: ${now.problem}.`}
          </p>
          {now.problem === "" ? (
            <button type="button" className="button small" id="undo" onClick={() => control.undo()}>
              Undo
            </button>
          ) : (
            <>
              <button type="button" className="button small" id="delete-again" onClick={() => control.again()}>
                Try again
              </button>
              <button type="button" className="button quiet small" onClick={() => control.dismiss()}>
                Close
              </button>
            </>
          )}
        </div>
      )}
    </div>
  );
}
