const STOPS = ["Device", "Outbox", "Storage", "Row", "Link"];

/** In their order; who wants no motion sees the last one. */
const WORDS = [
  "Kept on the device, then sent.",
  "An answer is lost on the way.",
  "Tried again: its row was there already.",
  "Arrived once, after 2 tries.",
];

/** A picture's way, over and over, with a loss in it. */
export function Loop() {
  return (
    <div
      className="loop"
      id="loop"
      role="img"
      aria-label="A picture goes from the device by the outbox to storage, row and link. An answer is lost on the way; it is tried again, and arrives once."
    >
      <ol className="loop-stops">
        {STOPS.map((stop) => (
          <li key={stop}>{stop}</li>
        ))}
      </ol>
      <span className="loop-picture" />
      <div className="loop-words">
        {WORDS.map((words) => (
          <p key={words}>{words}</p>
        ))}
      </div>
    </div>
  );
}
