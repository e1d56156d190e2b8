import { useRef, useState } from "preact/hooks";
import { tileId } from "../control/gallery";
import { state, type Tile } from "../state";
import type { Controls } from "./controls";
import { AskDoctor } from "./doctor";

const { hasMore, hint, isReadingMore, mayBeSetUp, status, tiles } = state.gallery;
const { isAwaited } = state.details;

/** Pictures of the first row, on the widest screen. */
const FIRST_ROW = 4;

const BLANKS = [1, 2, 3, 4];

/** What is said besides to who came by a picture's address. */
const THEN = " The picture that you came for opens then.";

/** The user's pictures, the newest first. */
export function GallerySection({ controls: { gallery, details } }: { controls: Controls }) {
  const count = tiles.value.length;
  return (
    <section className="gallery" aria-labelledby="gallery-title">
      <div className="gallery-head">
        <h2 id="gallery-title" tabIndex={-1}>
          Your newest pictures
        </h2>
        <p className="meta" id="gallery-meta">
          {count > 0 && (hasMore.value ? `the last ${count}` : count)}
        </p>
      </div>
      <ul className="grid" id="grid" aria-labelledby="gallery-title" aria-busy={status.value === "loading"}>
        {tiles.value.map((tile, i) => (
          <Picture key={tile.row.id} tile={tile} isFirst={i < FIRST_ROW} onOpen={() => details.open(tile.row.id)} />
        ))}
        {status.value === "loading" &&
          count === 0 &&
          BLANKS.map((blank) => (
            <li key={blank} className="blank" aria-hidden="true">
              <span className="tile-gap" />
            </li>
          ))}
      </ul>
      {status.value === "shown" && hasMore.value && (
        <button
          className="button more"
          type="button"
          id="more"
          aria-busy={isReadingMore.value}
          onClick={() => gallery.more()}
        >
          Show more
        </button>
      )}
      <Instead onRetry={() => gallery.refresh()} />
    </section>
  );
}

/** What is said where there are no pictures. */
function Instead({ onRetry }: { onRetry: () => void }) {
  switch (status.value) {
    case "empty":
      return (
        <div className="empty" id="gallery-empty">
          <p className="empty-title">Nothing here yet</p>
          <p>The first picture you send appears here, with a link that is signed for you alone.</p>
        </div>
      );
    case "offline":
      return (
        <div className="empty" id="gallery-offline">
          <p className="empty-title">Your pictures are online, you are not</p>
          <p>They appear here as soon as you are back.{isAwaited.value && THEN}</p>
        </div>
      );
    case "failed":
      return (
        <div className="empty" id="gallery-failed" role="alert">
          <p className="empty-title">
            {tiles.value.length > 0 ? "Newer pictures can't be shown now" : "Your pictures can't be shown now"}
          </p>
          <p id="gallery-failed-hint">
            {hint.value} It is tried again by itself.{isAwaited.value && THEN}
          </p>
          <button className="button" type="button" id="gallery-retry" onClick={onRetry}>
            Try again
          </button>
          {mayBeSetUp.value && <AskDoctor />}
        </div>
      );
    default:
      return null;
  }
}

interface PictureOptions {
  tile: Tile;
  /** It is in sight without scrolling, or nearly. */
  isFirst: boolean;
  onOpen: () => void;
}

function Picture({ tile: { row, link }, isFirst, onOpen }: PictureOptions) {
  const made = row.backend === "upload" ? "Uploaded" : "Drawn";
  return (
    <li>
      <button type="button" className="tile" id={tileId(row.id)} aria-haspopup="dialog" onClick={onOpen}>
        {link.url === undefined ? (
          <span className="tile-gap">Its file is gone</span>
        ) : (
          <Small url={link.small ?? link.url} isFirst={isFirst} />
        )}
        <span className="tile-text">
          <span className="tile-title" dir="auto">
            {row.prompt}
          </span>
          <time className="meta" dateTime={row.createdAt}>
            {made} {when(new Date(row.createdAt))}
          </time>
        </span>
      </button>
    </li>
  );
}

/** A picture that is there already stays: its old link has done its work. */
function Small({ url, isFirst }: { url: string; isFirst: boolean }) {
  const [isLoaded, setLoaded] = useState(false);
  const shown = useRef(url);
  if (!isLoaded) shown.current = url;
  const loading = isFirst ? "eager" : "lazy";
  return <img src={shown.current} alt="" loading={loading} decoding="async" onLoad={() => setLoaded(true)} />;
}

/** The time of today's, the day of older ones. */
function when(date: Date): string {
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday
    ? `at ${date.toLocaleTimeString([], { timeStyle: "short" })}`
    : date.toLocaleDateString([], { dateStyle: "medium" });
}
