import type { Leaving } from "../control/leaving";
import { state } from "../state";
import { useModal } from "./modal";

/** Asks who signs out about what would be lost. */
export function LeavingDialog({ control }: { control: Leaving }) {
  const isOpen = state.isLeaving.value;
  const modal = useModal(isOpen, () => control.stay());
  return (
    <dialog className="asking" id="leaving" aria-labelledby="leaving-title" aria-describedby="leaving-text" {...modal}>
      {isOpen && <Question control={control} />}
    </dialog>
  );
}

function Question({ control }: { control: Leaving }) {
  const count = state.outbox.items.value.size;
  const isDemo = state.account.value?.isDemo === true;
  return (
    <div className="asking-body">
      <h2 id="leaving-title">{count === 0 ? "Leave the demo?" : `${pictures(count)} not sent yet`}</h2>
      <p id="leaving-text">{textFor(count, isDemo)}</p>
      <div className="asking-actions">
        <button className="button primary" type="button" id="stay" onClick={() => control.stay()}>
          {count === 0 ? "Stay" : "Wait"}
        </button>
        {count > 0 && !isDemo && (
          <button className="button" type="button" id="keep-and-leave" onClick={() => control.leave()}>
            Keep and sign out
          </button>
        )}
        {count > 0 ? (
          <button className="button" type="button" id="discard-and-leave" onClick={() => control.discardAndLeave()}>
            Discard and sign out
          </button>
        ) : (
          <button className="button" type="button" id="leave" onClick={() => control.leave()}>
            End it
          </button>
        )}
      </div>
    </div>
  );
}

function pictures(count: number): string {
  return count === 1 ? "1 picture is" : `${count} pictures are`;
}

function textFor(count: number, isDemo: boolean): string {
  const end = "A demo account ends when you sign out: nobody can sign in to it again.";
  if (count === 0) return `${end} Its pictures can't be seen from here any more.`;
  if (isDemo) return `${end} What waits in the outbox would be lost.`;
  return "Kept in the outbox of this device, they go out when you are back. Nobody else sees them here.";
}
