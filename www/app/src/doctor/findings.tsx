import type { ProjectCheck, ProjectReport } from "imagen-cloud/outbox";
import { useState } from "preact/hooks";
import { state } from "../state";

const WORDS: Record<ProjectCheck["state"], string> = { ok: "ok", wrong: "to do", unchecked: "not seen" };

/** What the doctor saw, line by line: first what there is to do. */
export function Findings({ report: { checks } }: { report: ProjectReport }) {
  const of = (state: ProjectCheck["state"]) => checks.filter((check) => check.state === state);
  const unchecked = of("unchecked");
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it
    <section className="findings" aria-label="What was found" tabIndex={0}>
      <List checks={[...of("wrong"), ...of("ok")]} />
      {unchecked.length > 0 && (
        <details id="doctor-unchecked">
          <summary>Not looked at: {unchecked.length}</summary>
          <List checks={unchecked} />
        </details>
      )}
      {!state.account.value && <p className="hint">Sign in, and what a user may do is looked at too.</p>}
    </section>
  );
}

function List({ checks }: { checks: ProjectCheck[] }) {
  return (
    <ul>
      {checks.map(({ name, state, message, remedy }) => (
        <li key={name} className="finding" data-state={state}>
          <span className="finding-state">{WORDS[state]}</span>
          <div>
            <p>{message}</p>
            {remedy !== undefined && <p className="finding-remedy">{remedy}</p>}
          </div>
          <code className="finding-name">{name}</code>
        </li>
      ))}
    </ul>
  );
}

export function summaryOf({ checks }: ProjectReport): string {
  const wrong = checks.filter(({ state }) => state === "wrong").length;
  if (wrong === 0) return "All that was looked at is right.";
  return wrong === 1 ? "There is one thing to do." : `There are ${wrong} things to do.`;
}

export function CopyReport({ report }: { report: ProjectReport }) {
  const [told, tell] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(textOf(report)).then(
      () => tell("Copied. It holds no key and no token."),
      () => tell("Can't copy"),
    );
  return (
    <>
      <button className="button" type="button" id="doctor-copy" onClick={copy}>
        Copy the report
      </button>
      <span className="hint" role="status">
        {told}
      </span>
    </>
  );
}

/** The report for an issue or a mail, as the command line gives it. */
function textOf({ checks }: ProjectReport): string {
  const lines = checks.flatMap(({ name, state, message, remedy }) => [
    `${WORDS[state].padEnd(8)}  ${name.padEnd(17)} ${message}`,
    ...(remedy === undefined ? [] : [`${" ".repeat(28)}${remedy}`]),
  ]);
  return [`imagen-cloud, looked at by the page of ${location.origin}`, ...lines, ""].join("\n");
}
