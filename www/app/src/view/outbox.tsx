import { useRef, useState } from "preact/hooks";
import { mayBeSetUp } from "../advice";
import { discardId, type OutboxList } from "../control/outbox";
import { type Told, tell } from "../job";
import { type Item, state } from "../state";
import type { Route } from "../transport";
import { Bar } from "./delivery";
import { AskDoctor } from "./doctor";

const { isOpen, isPaused, items, now, problem } = state.outbox;

/** The pictures that are on their way. */
export function OutboxCard({ control, onTravel }: { control: OutboxList; onTravel: Travel }) {
  const waiting = [...items.value.values()];
  const { places, ...hand } = usePlaces([...items.value.keys()]);
  return (
    <section className="card outbox" aria-labelledby="outbox-title">
      <div className="outbox-head">
        <h2 id="outbox-title" tabIndex={-1}>
          Outbox
        </h2>
        <span className="meta" id="outbox-count">
          {waiting.length > 0 && waiting.length}
        </span>
        {(waiting.length > 0 || isPaused.value) && (
          <button
            className="button quiet small"
            type="button"
            id="pause"
            aria-describedby="outbox-title"
            onClick={() => control.togglePause()}
          >
            {isPaused.value ? "Resume" : "Pause"}
          </button>
        )}
      </div>
      <p className="form-message" id="outbox-failed" role="alert">
        {problem.value}
      </p>
      {/* Where there is no outbox, there is something else to be said. */}
      {waiting.length === 0 && isOpen.value && (
        <p className="hint" id="outbox-empty">
          {isPaused.value
            ? "Paused. What you send waits here until you resume."
            : "Nothing is waiting. What you send passes through here, also while you're offline."}
        </p>
      )}
      <ul className="jobs" id="jobs" aria-labelledby="outbox-title" {...hand}>
        {places.map((id) => {
          const item = items.value.get(id);
          if (!item) return <li key={id} className="job" aria-hidden="true" />;
          return <Job key={id} item={item} control={control} onTravel={onTravel} />;
        })}
      </ul>
      {/* Below the rows, which it would push away from the hand. */}
      {waiting.some(({ job }) => mayBeSetUp(job.error)) && <AskDoctor />}
    </section>
  );
}

/** While the pointer is over the rows, one that leaves keeps its place, or the next one would be pressed instead. */
function usePlaces(ids: string[]) {
  const [isHeld, hold] = useState(false);
  const places = useRef<string[]>([]);
  const there = new Set(ids);
  const held = isHeld ? places.current : places.current.filter((id) => there.has(id));
  const all = [...held, ...ids.filter((id) => !held.includes(id))];
  // Below the last row there is nothing to press.
  places.current = all.slice(0, Math.max(-1, ...ids.map((id) => all.indexOf(id))) + 1);
  return { places: places.current, onPointerEnter: () => hold(true), onPointerLeave: () => hold(false) };
}

type Travel = (route: Route) => void;

function Job({ item, control, onTravel }: { item: Item; control: OutboxList; onTravel: Travel }) {
  const { job, title, sent, since, url } = item;
  const told = tell(job, {
    online: state.isOnline.value,
    paused: isPaused.value,
    now: now.value,
    since,
    ...(sent !== undefined && { sent }),
  });
  return (
    <li className="job" data-job={job.id} data-look={told.look}>
      <div className="job-frame">{url !== undefined && <Thumb key={url} url={url} />}</div>
      <p className="job-title" dir="auto">
        {title}
      </p>
      <div className="job-text">
        <p className="job-state">{told.state}</p>
        {told.look === "sending" && <Bar percent={percentOf(told.fraction)} label={`Upload of ${title}`} />}
        <Why {...told} />
      </div>
      <div className="job-actions">
        {told.isSilent && <OtherWay title={title} onTravel={onTravel} />}
        <JobActions item={item} canRetry={told.canRetry} isSafe={told.look === "safe"} control={control} />
      </div>
    </li>
  );
}

/** One line, or the rows below would move under the hand that is about to press; opened, it is all there. */
function Why({ hint, detail }: Pick<Told, "hint" | "detail">) {
  if (detail === undefined) return hint === undefined ? null : <p className="job-hint">{hint}</p>;
  return (
    <details>
      <summary className="job-hint">{hint ?? "What the server said"}</summary>
      <code>{detail}</code>
    </details>
  );
}

/** What waits goes by the way that is chosen meanwhile. */
function OtherWay({ title, onTravel }: { title: string; onTravel: Travel }) {
  const [route, words]: [Route, string] =
    state.route.value === "direct" ? ["worker", "Use the Worker"] : ["direct", "Send directly"];
  return (
    <button type="button" className="button small" aria-label={`${words}: ${title}`} onClick={() => onTravel(route)}>
      {words}
    </button>
  );
}

function percentOf(fraction: number | undefined): number | undefined {
  return fraction ? Math.round(fraction * 100) : undefined;
}

function Thumb({ url }: { url: string }) {
  // A file that the browser can't show has an empty frame.
  const hide = ({ currentTarget }: { currentTarget: HTMLImageElement }) => {
    currentTarget.hidden = true;
  };
  return <img className="job-thumb" src={url} alt="" decoding="async" onError={hide} />;
}

interface JobOptions {
  item: Item;
  canRetry: boolean;
  isSafe: boolean;
  control: OutboxList;
}

function JobActions({ item: { job, title, isAsked }, canRetry, isSafe, control }: JobOptions) {
  const retry = isSafe ? "Check now" : "Retry";
  const discard = isAsked ? "Discard for good?" : "Discard";
  return (
    <>
      {/* On a phone both would leave no room for the name of what goes. */}
      {canRetry && !isAsked && (
        <button
          type="button"
          className="button small"
          aria-label={`${retry}: ${title}`}
          onClick={() => control.retry(job.id)}
        >
          {retry}
        </button>
      )}
      <button
        type="button"
        className="button quiet small"
        id={discardId(job.id)}
        aria-label={`${discard} ${title}`}
        onClick={() => control.discard(job.id)}
      >
        {discard}
      </button>
    </>
  );
}
