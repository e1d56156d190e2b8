// The small picture beside an image, in Chromium.
import { testThumbnails } from "../support/library.mjs";
import { outboxWorld } from "../support/outbox.mjs";

testThumbnails(outboxWorld());
