import "./break.css";
import { state } from "../state";
import { Bar } from "../view/delivery";
import source from "./plain-send.ts?raw";
import {
  type Fault,
  isPlainSending,
  isSending,
  problem,
  run,
  type Score,
  sendPlainTen,
  sendTen,
  set,
  TEN,
  told,
} from "./run";
import { STOPS, type Story, storyOf } from "./story";

export { open } from "./run";

const FAULTS: { fault: Fault; title: string; text: string }[] = [
  { fault: "offline", title: "Offline", text: "Every connection is cut" },
  { fault: "lose", title: "Lose 20 % of answers", text: "4 of 20 requests, always the same" },
  { fault: "down", title: "Server down", text: "Supabase answers 503" },
  { fault: "slow", title: "Slow line", text: "2 s late, each answer" },
];

/** Lets a visitor try to lose a picture. */
export function BreakPanel() {
  const now = run.value;
  const heard = told.value;
  const isUnderWay = isSending.value || now?.ids.some((id) => state.outbox.items.value.has(id)) === true;
  return (
    <div className="break" id="break-panel">
      <div className="break-top">
        <div className="break-controls">
          <fieldset className="field" id="faults">
            <legend>What goes wrong</legend>
            <div className="faults">
              {FAULTS.map((one) => (
                <Switch key={one.fault} {...one} isOn={heard?.faults[one.fault] === true} />
              ))}
            </div>
          </fieldset>
          <div className="break-actions">
            <button
              className="button primary"
              type="button"
              id="send-ten"
              aria-disabled={isSending.value}
              onClick={sendTen}
            >
              Send ten
            </button>
            <a className="button" id="go-away" href="/away.html">
              Leave and come back
            </a>
            <button className="button" type="button" id="reload-now" onClick={() => location.reload()}>
              Reload now
            </button>
          </div>
          <p className="form-message" role="alert">
            {problem.value}
          </p>
        </div>
        <Board
          id="score"
          title="This library"
          sent={now?.ids.length ?? 0}
          score={heard?.score?.library}
          isUnderWay={isUnderWay}
        />
      </div>
      {now && heard && (
        <ol className="tracks" id="tracks" aria-label="Ten pictures on their way">
          {TEN.map((title, i) => (
            <Track key={title} number={i + 1} story={storyOf(now, i + 1, heard)} />
          ))}
        </ol>
      )}
      {now && now.ids.length === TEN.length && <Comparison sent={now.plain} score={heard?.score?.plain} />}
    </div>
  );
}

function Switch({ fault, title, text, isOn }: (typeof FAULTS)[number] & { isOn: boolean }) {
  return (
    <label className="fault">
      <input
        type="checkbox"
        id={`fault-${fault}`}
        checked={isOn}
        onChange={({ currentTarget }) => set(fault, currentTarget.checked)}
      />
      <span className="choice-title">{title}</span>
      <span className="choice-text">{text}</span>
    </label>
  );
}

interface BoardProps {
  id: string;
  title: string;
  sent: number;
  score: Score | undefined;
  isUnderWay: boolean;
}

/** Read from the demo's proxy, the database and the bucket: not from what the page believes. */
function Board({ id, title, sent, score, isUnderWay }: BoardProps) {
  const lookOf = (value = 0) => (value > 0 ? "bad" : "good");
  const figures: [name: string, value: number, look?: "good" | "bad"][] = [
    ["Sent", sent],
    ["Requests", score?.requests ?? 0],
    ["Broken", score?.broken ?? 0],
    ["Objects", score?.objects ?? 0],
    ["Rows", score?.rows ?? 0],
    ["Doubles", score?.doubles ?? 0, lookOf(score?.doubles)],
    // Until the last row is there an object may be about to have its own.
    isUnderWay
      ? ["Without row", score?.leftBehind ?? 0]
      : ["Left behind", score?.leftBehind ?? 0, lookOf(score?.leftBehind)],
  ];
  return (
    <section className="board" id={id} aria-label={`Score: ${title}`}>
      <h3>{title}</h3>
      <dl>
        {figures.map(([name, value, look]) => (
          <div key={name} data-figure={name} data-look={look}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p className="hint">Objects, rows and doubles are read from bucket and database.</p>
    </section>
  );
}

function Track({ number, story }: { number: number; story: Story }) {
  const stops = STOPS.filter((stop) => stop !== "Worker" || story.viaWorker);
  const reached = stops.indexOf(story.at);
  return (
    <li className="track" data-at={story.at} data-arrived={story.hasArrived ? "" : undefined}>
      <p className="track-title">
        <span className="meta">{number}</span> {story.title}
      </p>
      <ol className="stops" aria-label={`${story.title} has reached: ${story.at}`}>
        {stops.map((stop, i) => (
          <li key={stop} data-reached={i <= reached ? "" : undefined}>
            {stop}
          </li>
        ))}
      </ol>
      <details className="track-log">
        <summary>{story.summary}</summary>
        <ol>
          {story.log.map((line, i) => (
            <li key={i}>{line}</li>
          ))}
          {story.log.length === 0 && <li>Nothing was sent yet.</li>}
        </ol>
      </details>
    </li>
  );
}

/** The same ten as most people send them. */
function Comparison({ sent, score }: { sent: number; score: Score | undefined }) {
  const isDone = sent > 0 && !isPlainSending.value;
  return (
    <section className="plain" aria-labelledby="plain-title">
      <div className="plain-text">
        <h3 id="plain-title">And without it?</h3>
        <p>
          The same ten pictures by supabase-js, upload and insert; after an error Send is pressed once more. While “Lose
          20 % of answers” is on, the same requests are broken: the answers to the third and eighth upload and to the
          ninth row are lost, the fifth row is refused once.
        </p>
        <button
          className="button"
          type="button"
          id="send-plain"
          aria-disabled={isPlainSending.value || sent > 0}
          onClick={() => sent === 0 && sendPlainTen()}
        >
          Send them the plain way
        </button>
        {isPlainSending.value && <Bar percent={sent * 10} label="The plain way" />}
        {isDone && score && <p id="plain-verdict">{verdict(sent, score)}</p>}
        <details className="plain-code">
          <summary>Its code</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it */}
          <pre tabIndex={0}>
            <code>{source}</code>
          </pre>
        </details>
      </div>
      <Board id="plain-score" title="The plain way" sent={sent} score={score} isUnderWay={isPlainSending.value} />
    </section>
  );
}

function verdict(sent: number, { pictures, doubles, leftBehind }: Score): string {
  const parts = [
    count(sent - pictures, "picture is lost", "pictures are lost"),
    count(doubles, "row is there twice", "rows are there twice"),
    count(leftBehind, "object is left behind", "objects are left behind"),
  ].filter((part) => part !== "");
  return parts.length === 0 ? "It went well this time." : `${parts.join(", ")}.`;
}

function count(number: number, one: string, more: string): string {
  if (number === 0) return "";
  return `${number} ${number === 1 ? one : more}`;
}
