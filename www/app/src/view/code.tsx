import { useState } from "preact/hooks";

/** A path or an id, in full, and a button that copies it. */
export function Code({ id, name, value }: { id: string; name: string; value: string }) {
  const [said, say] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(value).then(
      () => say("Copied"),
      () => say("Can't copy"),
    );
  return (
    <div className="code-line">
      <dt>{name}</dt>
      <dd id={id}>{value}</dd>
      <dd className="code-copy">
        <button type="button" className="button quiet small" aria-label={`Copy ${name.toLowerCase()}`} onClick={copy}>
          Copy
        </button>
        <span role="status">{said}</span>
      </dd>
    </div>
  );
}
