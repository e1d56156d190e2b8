import type { Batch } from "../control/batch";
import type { Delivery } from "../control/delivery";
import type { Details } from "../control/details";
import type { Facts } from "../control/facts";
import type { Gallery } from "../control/gallery";
import type { Leaving } from "../control/leaving";
import type { OutboxList } from "../control/outbox";
import type { Removal } from "../control/removal";
import type { Stage } from "../control/stage";
import type { Welcome } from "../control/welcome";
import type { Row } from "../gallery";
import type { Painter } from "../painter";
import type { Tile } from "../state";
import type { Route } from "../transport";

/** What the page can be asked to do. */
export interface Controls {
  painter: Painter;
  welcome: Welcome;
  stage: Stage;
  batch: Batch;
  facts: Facts;
  delivery: Delivery;
  outbox: OutboxList;
  gallery: Gallery;
  details: Details;
  removal: Removal;
  /** Deletes the picture whose details are open; that can be undone for some seconds. */
  remove(tile: Tile): void;
  /** Puts a picture's words and seed back on the stage. */
  useAgain(row: Row): void;
  send(): void;
  /** Opens "Break it", where the build has it. */
  breakIt(): void;
  travelBy(route: Route): void;
  leaving: Leaving;
}
