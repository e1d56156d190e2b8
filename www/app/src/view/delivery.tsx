import { type Delivery, KEPT, titleOf } from "../control/delivery";
import { type Arrival, type Delivered, state } from "../state";
import { taleOf } from "../tries";
import { Code } from "./code";
import { AskDoctor } from "./doctor";

/** How the picture fares that was sent last: one card, or none. */
export function DeliveryCards({ control }: { control: Delivery }) {
  const shown = state.delivery.shown.value;
  switch (shown.kind) {
    case "nothing":
      return null;
    case "sending":
      return <Sending {...shown} onCancel={() => control.cancel()} />;
    case "failed":
      return <Failure {...shown} onRetry={() => control.retry()} />;
    case "arrived":
      return <Arrived {...shown.arrival} />;
  }
}

type Of<K extends Delivered["kind"]> = Extract<Delivered, { kind: K }>;

function Sending({ percent, onCancel }: Of<"sending"> & { onCancel: () => void }) {
  return (
    <div className="card delivery" id="delivery">
      <div className="delivery-head">
        <h2 id="delivery-title">Sending it</h2>
        <button className="button quiet" type="button" id="cancel" onClick={onCancel}>
          Cancel
        </button>
      </div>
      <Bar id="progress" percent={percent} labelledBy="delivery-title" />
    </div>
  );
}

interface BarOptions {
  id?: string;
  /** Without it the bar shows that something is at work, not how far. */
  percent: number | undefined;
  label?: string;
  labelledBy?: string;
}

export function Bar({ id, percent, label, labelledBy }: BarOptions) {
  const names = { id, "aria-label": label, "aria-labelledby": labelledBy };
  // An element of its own: once it has a value, a bar can't be told to have none.
  return percent === undefined ? (
    <progress key="unknown" max={100} {...names} />
  ) : (
    <progress key="known" max={100} value={percent} {...names} />
  );
}

function Failure({ advice: { title, hint, detail, mayBeSetUp }, onRetry }: Of<"failed"> & { onRetry: () => void }) {
  return (
    <div className="card failure" id="failure" role="alert">
      <h2 id="failure-title">{title}</h2>
      <p id="failure-hint">{hint}</p>
      <details>
        <summary>What the server said</summary>
        <code id="failure-detail">{detail}</code>
      </details>
      <button className="button" type="button" id="retry" onClick={onRetry}>
        Send again
      </button>
      {mayBeSetUp && <AskDoctor />}
    </div>
  );
}

function Arrived(arrival: Arrival) {
  const { prompt, storagePath, imageId, local, isKept } = arrival;
  // The gallery signs its link, and renews it.
  const tile = state.gallery.tiles.value.find(({ row }) => row.id === imageId);
  const link = tile?.link.url;
  const picture = link ?? local;
  const history = state.histories.value.get(imageId);
  const tale = history && (tile || !isKept) ? taleOf(history) : undefined;
  return (
    <article className="card arrival" id="arrival" aria-labelledby="arrival-title">
      <div className="arrival-frame">
        {picture !== undefined && <img id="arrival-image" src={picture} alt={prompt} width={112} height={112} />}
      </div>
      <div className="arrival-text">
        <h2 id="arrival-title" tabIndex={-1}>
          {isKept && !tile ? "It's in safe hands" : titleOf(arrival)}
        </h2>
        <p className="arrival-words" dir="auto">
          {prompt}
        </p>
        <p className="arrival-open" id="arrival-open">
          {link !== undefined ? (
            <a href={link} target="_blank" rel="noreferrer">
              Open its signed URL
            </a>
          ) : isKept && !tile ? (
            KEPT
          ) : (
            !tile && "Its link is being signed …"
          )}
        </p>
        {tale && (
          <p className="hint" id="arrival-tale">
            {tale.summary}
          </p>
        )}
        <details className="codes">
          <summary>Details</summary>
          {tale && (
            <ol className="tale" id="arrival-log" aria-label="How it went">
              {tale.lines.map((line, i) => (
                <li key={i}>{line}</li>
              ))}
            </ol>
          )}
          <dl>
            <Code id="arrival-path" name="Storage path" value={storagePath} />
            <Code id="arrival-id" name="Image id" value={imageId} />
          </dl>
        </details>
      </div>
    </article>
  );
}
