import { useLayoutEffect, useRef } from "preact/hooks";
import type { Details } from "../control/details";
import type { Row } from "../gallery";
import { openTile, state, type Tile } from "../state";

/** The open picture's details, over the page. */
export function DetailsDialog({ control }: { control: Details }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const tile = openTile.value;
  useLayoutEffect(() => {
    if (tile && !dialog.current?.open) dialog.current?.showModal();
    if (!tile && dialog.current?.open) dialog.current.close();
    if (dialog.current) dialog.current.scrollTop = 0;
  }, [tile?.row.id]);
  // Everything but the backdrop lies within its child.
  const leave = ({ target, currentTarget }: MouseEvent) => target === currentTarget && control.close();
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape does the same
    <dialog
      className="details"
      id="details"
      aria-labelledby="details-title"
      ref={dialog}
      onClick={leave}
      onClose={() => control.close()}
    >
      {tile && <Body tile={tile} control={control} />}
    </dialog>
  );
}

function Body({ tile: { row, link }, control }: { tile: Tile; control: Details }) {
  const isThere = link.url !== undefined;
  return (
    <div className="details-body">
      <div className="details-picture">
        {isThere ? (
          <img id="details-image" src={link.url} alt={row.prompt} />
        ) : (
          <p className="tile-gap" id="details-gap">
            Its file is gone
          </p>
        )}
      </div>
      <div className="details-text">
        <div className="details-head">
          <h2 id="details-title" tabIndex={-1}>
            {row.prompt}
          </h2>
          <button className="button quiet small" type="button" id="details-close" onClick={() => control.close()}>
            Close
          </button>
        </div>
        <dl className="facts" id="details-facts">
          {factsOf(row).map((fact) => fact[1] !== undefined && <Fact key={fact[0]} fact={fact} />)}
        </dl>
        {isThere && (
          <div className="details-actions" id="details-actions">
            <button className="button" type="button" id="copy-link" onClick={() => control.copyLink()}>
              Copy link
            </button>
            <button className="button" type="button" id="download" onClick={() => control.download()}>
              Download
            </button>
          </div>
        )}
        <p className="hint" id="details-message" role="status">
          {state.details.message.value}
        </p>
      </div>
    </div>
  );
}

type FactOf = [name: string, value: string | undefined, isCode?: boolean];

function Fact({ fact: [name, value, isCode] }: { fact: FactOf }) {
  return (
    <div className={isCode ? "wide" : ""}>
      <dt>{name}</dt>
      <dd className={isCode ? "code" : ""}>{value}</dd>
    </div>
  );
}

function factsOf(row: Row): FactOf[] {
  return [
    ["Made by", row.backend === "upload" ? "You, as a file" : row.backend === "canvas" ? "Your device" : row.backend],
    ["Model", row.model ?? undefined],
    ["Seed", row.backend === "upload" ? undefined : (row.seed ?? undefined)],
    ["Steps", row.steps?.toLocaleString()],
    ["Size", row.width && row.height ? `${row.width} × ${row.height} px` : undefined],
    ["Took", row.latencyMs ? `${row.latencyMs.toLocaleString()} ms` : undefined],
    ["Cost", row.costUsd === null ? undefined : cost(row.costUsd)],
    ["Created", new Date(row.createdAt).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
    ["Storage path", row.storagePath, true],
    ["Image id", row.id, true],
  ];
}

function cost(usd: number): string {
  return usd === 0
    ? "Free"
    : usd.toLocaleString("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 6 });
}
