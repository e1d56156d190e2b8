import type { Stage } from "../control/stage";
import { MAX_WORDS } from "../picture";
import { isDrawing, isRefused, sentFromStage, state } from "../state";
import type { Route } from "../transport";
import { BatchList, pictures } from "./batch";
import type { Controls } from "./controls";
import { FactsFields } from "./facts";

const { chosen, batch, isBatchBusy, prompt, promptProblem, seed, seedProblem } = state.stage;

const IDEAS = ["snow over a fjord", "pine forest at dawn", "desert sunset", "moon on a lake"];

const ROUTES: { route: Route; title: string; text: string }[] = [
  { route: "direct", title: "Direct", text: "To Supabase as you, by your own rights" },
  {
    route: "worker",
    title: "Through the Worker",
    text: "It keeps the key, and your picture while Supabase is down",
  },
];

/** Words, seed and way of a picture, and what sends it. */
export function Compose({ controls }: { controls: Controls }) {
  const send = (event: SubmitEvent) => {
    event.preventDefault();
    controls.send();
  };
  const hurry = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) controls.send();
  };
  return (
    <form className="card compose" id="compose" noValidate onSubmit={send} onKeyDown={hurry}>
      {batch.value.length > 0 ? <BatchList control={controls.batch} /> : <Words control={controls.stage} />}
      {chosen.value && <FactsFields control={controls.facts} />}
      {isDrawing.value && <Seed control={controls.stage} />}
      <Routes onChoose={controls.travelBy} />
      {batch.value.length > 0 ? <SendAll /> : <SendButton />}
    </form>
  );
}

const ANSWERS = { kept: "In the outbox ✓", arrived: "Arrived ✓" };

function answerTo(sent: keyof typeof ANSWERS): string {
  if (isRefused.value) return "Not sent: see the outbox";
  return state.outbox.isOpen.value || sent === "arrived" ? ANSWERS[sent] : "Safe with the Worker ✓";
}

/** Says what became of the picture that it sent, for as long as that is the one on the stage. */
function SendButton() {
  const sent = sentFromStage.value;
  return (
    <div className="send-bar">
      <button className="button primary wide send" type="submit" id="send" aria-disabled={state.delivery.isBusy.value}>
        {sent ? (
          <>
            <span className="send-answer" id="send-answer">
              {answerTo(sent)}
            </span>
            <span>Send another copy</span>
          </>
        ) : (
          "Send to Supabase"
        )}
      </button>
    </div>
  );
}

/** The same for several files. */
function SendAll() {
  const files = batch.value;
  const left = files.filter(({ state }) => state === "chosen" || state === "leaving").length;
  const hasArrived = files.every(({ state }) => state === "arrived");
  return (
    <div className="send-bar">
      <button className="button primary wide send" type="submit" id="send" aria-disabled={isBatchBusy.value}>
        {left === 0 ? (
          <>
            <span className="send-answer" id="send-answer">
              {hasArrived ? "All arrived ✓" : "All on their way ✓"}
            </span>
            <span>Send another copy of each</span>
          </>
        ) : (
          `Send ${pictures(left)} to Supabase`
        )}
      </button>
    </div>
  );
}

function Words({ control }: { control: Stage }) {
  return (
    <div className="field">
      <label htmlFor="prompt" id="prompt-label">
        {chosen.value ? "What does it show?" : "What should it show?"}
      </label>
      <textarea
        id="prompt"
        name="prompt"
        rows={2}
        maxLength={MAX_WORDS}
        dir="auto"
        required
        spellcheck={false}
        value={prompt.value}
        aria-describedby="prompt-message prompt-count"
        aria-invalid={promptProblem.value !== ""}
        onInput={({ currentTarget }) => control.write(currentTarget.value)}
      />
      <p className="hint count" id="prompt-count">
        {prompt.value.length.toLocaleString("en-US")} of {MAX_WORDS.toLocaleString("en-US")} characters
      </p>
      <Problem id="prompt-message" text={promptProblem.value} />
      {!chosen.value && (
        <ul className="ideas" id="ideas" aria-label="Ideas">
          {IDEAS.map((words) => (
            <li key={words}>
              <button type="button" className="idea" onClick={() => control.useIdea(words)}>
                {words}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Seed({ control }: { control: Stage }) {
  return (
    <div className="field" id="seed-field">
      <label htmlFor="seed">Seed</label>
      <div className="with-button">
        <input
          id="seed"
          name="seed"
          inputMode="numeric"
          autoComplete="off"
          value={seed.value}
          maxLength={20}
          aria-describedby="seed-message seed-hint"
          aria-invalid={seedProblem.value !== ""}
          onInput={({ currentTarget }) => control.plant(currentTarget.value)}
        />
        <button className="button" type="button" id="shuffle" onClick={() => control.shuffle()}>
          Shuffle
        </button>
      </div>
      <Problem id="seed-message" text={seedProblem.value} />
      <p className="hint" id="seed-hint">
        The same words and seed always give the same picture.
      </p>
    </div>
  );
}

/** What is wrong with a field, right beside it. */
function Problem({ id, text }: { id: string; text: string }) {
  return (
    <p className="form-message" id={id} role="alert">
      {text}
    </p>
  );
}

function Routes({ onChoose }: { onChoose: (route: Route) => void }) {
  return (
    <fieldset className="field" id="routes">
      <legend>How should it travel?</legend>
      <div className="choices">
        {ROUTES.map(({ route, title, text }) => (
          <label key={route} className="choice">
            <input
              type="radio"
              name="route"
              value={route}
              checked={state.route.value === route}
              onChange={() => onChoose(route)}
            />
            <span className="choice-title">{title}</span>
            <span className="choice-text">{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
