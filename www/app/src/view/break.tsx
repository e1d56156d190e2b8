import { state } from "../state";

/** Where a demo offers to lose a picture; what does it is loaded when it is wanted. */
export function BreakSection({ onOpen }: { onOpen: () => void }) {
  const { isOffered, panel } = state.breakIt;
  const Panel = panel.value;
  if (!isOffered.value) return null;
  return (
    <section className="card break-it" aria-labelledby="break-title">
      <h2 id="break-title" tabIndex={-1}>
        Break it
      </h2>
      <p className="hint">Try to lose a picture: cut the line, lose answers, leave the page.</p>
      {Panel ? (
        <Panel />
      ) : (
        <button className="button" type="button" id="break-it" onClick={onOpen}>
          Open the panel
        </button>
      )}
    </section>
  );
}
