import { neighbour } from "../control/details";
import type { Row } from "../gallery";
import { openTile, state, type Tile } from "../state";
import { Code } from "./code";
import type { Controls } from "./controls";
import { useModal } from "./modal";

const ARROWS: Record<string, 1 | -1> = { ArrowLeft: -1, ArrowRight: 1 };

/** The open picture's details, over the page. */
export function DetailsDialog({ controls }: { controls: Controls }) {
  const { details } = controls;
  const tile = openTile.value;
  const modal = useModal(tile !== undefined, () => details.close());
  // Everything but the backdrop lies within its child.
  const leave = ({ target, currentTarget }: MouseEvent) => target === currentTarget && details.close();
  const turn = ({ key, altKey, ctrlKey, metaKey }: KeyboardEvent) => {
    const by = ARROWS[key];
    if (by && !altKey && !ctrlKey && !metaKey) details.move(by);
  };
  return (
    <dialog
      className="details"
      id="details"
      aria-labelledby="details-title"
      {...modal}
      onClick={leave}
      onKeyDown={turn}
    >
      {tile && <Body tile={tile} controls={controls} />}
    </dialog>
  );
}

function Body({ tile: { row, link }, controls }: { tile: Tile; controls: Controls }) {
  return (
    <div className="details-body">
      <div className="details-head">
        <h2 id="details-title" tabIndex={-1} dir="auto" title={row.prompt}>
          {row.prompt}
        </h2>
        <button
          className="button quiet small"
          type="button"
          id="details-close"
          onClick={() => controls.details.close()}
        >
          Close
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it */}
      <section className="details-scroll" key={row.id} aria-label="Picture and facts" tabIndex={0}>
        <div className="details-picture">
          {link.url === undefined ? (
            <p className="tile-gap" id="details-gap">
              Its file is gone
            </p>
          ) : (
            <img id="details-image" src={link.url} alt={row.prompt} />
          )}
        </div>
        <div className="details-text">
          <dl className="facts" id="details-facts">
            {factsOf(row).map((fact) => fact[1] !== undefined && <Fact key={fact[0]} fact={fact} />)}
          </dl>
          <details className="codes">
            <summary>Path and id</summary>
            <dl>
              <Code id="details-path" name="Storage path" value={row.storagePath} />
              <Code id="details-id" name="Image id" value={row.id} />
            </dl>
          </details>
          {row.prompt.length > LONG && (
            <details className="all-words">
              <summary>All its words</summary>
              <p dir="auto">{row.prompt}</p>
            </details>
          )}
        </div>
      </section>
      <Actions tile={{ row, link }} controls={controls} />
      <p className="hint" id="details-message" role="status">
        {state.details.message.value}
      </p>
    </div>
  );
}

/** Characters of a prompt that may not fit the title. */
const LONG = 90;

function Actions({ tile: { row, link }, controls }: { tile: Tile; controls: Controls }) {
  const { details } = controls;
  return (
    <div className="details-actions" id="details-actions">
      <button className="button" type="button" id="use-again" onClick={() => controls.useAgain(row)}>
        Use again
      </button>
      {link.url !== undefined && (
        <>
          <a className="button" id="full-size" href={link.url} target="_blank" rel="noreferrer">
            Open full size
          </a>
          <button className="button" type="button" id="copy-link" onClick={() => details.copyLink()}>
            Copy link
          </button>
          <button className="button" type="button" id="download" onClick={() => details.download()}>
            Download
          </button>
        </>
      )}
      <button className="button quiet bad" type="button" id="delete" onClick={() => controls.remove({ row, link })}>
        Delete
      </button>
      <span className="details-arrows">
        <Arrow by={-1} name="Newer picture" sign="←" onMove={() => details.move(-1)} />
        <Arrow by={1} name="Older picture" sign="→" onMove={() => details.move(1)} />
      </span>
    </div>
  );
}

interface ArrowOptions {
  by: 1 | -1;
  name: string;
  sign: string;
  onMove: () => void;
}

function Arrow({ by, name, sign, onMove }: ArrowOptions) {
  // Not disabled at the end, or the keyboard would be nowhere.
  return (
    <button
      className="button quiet"
      type="button"
      aria-label={name}
      aria-disabled={neighbour(by) === undefined}
      onClick={onMove}
    >
      {sign}
    </button>
  );
}

type FactOf = [name: string, value: string | undefined];

function Fact({ fact: [name, value] }: { fact: FactOf }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function factsOf(row: Row): FactOf[] {
  return [
    ["Made by", row.backend === "upload" ? "You, as a file" : row.backend === "canvas" ? "Your device" : row.backend],
    ["Model", row.model ?? undefined],
    ["Seed", row.backend === "upload" && row.seed === "0" ? undefined : (row.seed ?? undefined)],
    ["Steps", row.steps?.toLocaleString()],
    ["Size", row.width && row.height ? `${row.width} × ${row.height} px` : undefined],
    ["Took", row.latencyMs ? `${row.latencyMs.toLocaleString()} ms` : undefined],
    ["Cost", row.costUsd === null ? undefined : cost(row.costUsd)],
    ["Created", new Date(row.createdAt).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
  ];
}

function cost(usd: number): string {
  return usd === 0
    ? "Free"
    : usd.toLocaleString("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 6 });
}
