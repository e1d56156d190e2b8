import { BreakSection } from "./break";
import { Compose } from "./compose";
import type { Controls } from "./controls";
import { DeliveryCards } from "./delivery";
import { GallerySection } from "./gallery";
import { OutboxCard } from "./outbox";
import { StageSection } from "./stage";

/** What who is signed in works with. */
export function Studio({ controls }: { controls: Controls }) {
  return (
    <div className="studio" id="studio">
      <h1 className="visually-hidden">Make and send a picture</h1>
      <div className="workbench">
        <StageSection control={controls.stage} />
        <section className="panel" aria-label="Send">
          <Compose controls={controls} />
          <OutboxCard control={controls.outbox} onTravel={controls.travelBy} />
          {/* Below the rows, which an arrival would push away from the hand. */}
          <DeliveryCards control={controls.delivery} />
        </section>
      </div>
      {import.meta.env.MODE === "demo" && <BreakSection onOpen={controls.breakIt} />}
      <GallerySection controls={controls} />
    </div>
  );
}
