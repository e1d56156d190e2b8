import type { SyncResult } from "imagen-cloud";
import type { User } from "./auth";
import type { PackedForm } from "./form";
import { Problem, type ProblemCode } from "./problem";

/** Where an image goes, and whose it is. */
export interface Place extends SyncResult {
  /** `auth.users.id` */
  owner: string;
}

/** What is known of a staged image without its bytes. */
export interface Staged {
  /** `auth.users.id` */
  owner: string;
  storagePath: string;
  /** Bytes of image and request. */
  size: number;
}

/** What is known of an image that was put aside. */
export interface Buried extends Staged {
  /** Why. */
  code: ProblemCode;
}

/** That an image was removed, and does not come back. */
export interface Removal {
  /** Who removed it. */
  owner: string;
  /** Where it was, or was to go, if that was known: an upload of it may lie there. */
  storagePath: string | undefined;
}

/** The issuer's keys, kept for whoever starts while they can't be had. */
export interface KeptKeys {
  /** JSON. */
  jwks: string;
  /** In ms since 1970. */
  keptAt: number;
}

/** Keeps images that Supabase could not take, and brings them there later. How, is the host's matter. */
export interface Staging {
  find(imageId: string): Promise<Staged | undefined>;
  /** Resolves once the image is safe; to false where one with this id is staged already, which is left as it is. */
  keep(form: PackedForm, place: Place): Promise<boolean>;
  /** Only for an image whose row is confirmed, or that its user has removed. */
  release(imageId: string): Promise<void>;
  findBuried(imageId: string): Promise<Buried | undefined>;
  /** Only for an image that its user has removed. */
  releaseBuried(imageId: string): Promise<void>;
  /** The removal of this id in the last 30 days. */
  findRemoval(imageId: string): Promise<Removal | undefined>;
  /**
   * Remembers for 30 days that this user removed it; a path that was known before stays known. Resolves to what is remembered then,
   * or to nothing where that is another user's removal, unless the image is known to be this one's own.
   */
  markRemoved(imageId: string, removal: Removal, isOwn: boolean): Promise<Removal | undefined>;
  /** Those of this address. */
  recallKeys(url: string): Promise<KeptKeys | undefined>;
}

/** A staging as who brings its images to Supabase needs it. */
export interface Stored extends Staging {
  /** The form, unparsed. Its request may lack the `imageId` that it was given. */
  open(imageId: string): Promise<PackedForm | undefined>;
  /** Puts a hopeless image aside, with the reason: what its user is told, and what the log is told. */
  bury(imageId: string, code: ProblemCode, reason: string): Promise<void>;
}

/** Throws when what is staged under this id is another image, or another user's. */
export function refuseOther(earlier: Staged, { imageId, storagePath }: SyncResult, user: User): void {
  if (earlier.owner !== user.id || earlier.storagePath !== storagePath) throw new Problem("id_taken", { imageId });
}

/** Stages an image, unless it is staged already; another one under its id is refused. */
export async function stage(staging: Staging, form: PackedForm, place: SyncResult, user: User): Promise<void> {
  const isKept = await staging.keep(form, { ...place, owner: user.id }).catch((cause: unknown) => {
    throw new Problem("unavailable", { imageId: place.imageId, cause });
  });
  const earlier = isKept ? undefined : await staging.find(place.imageId);
  // Gone meanwhile: it was delivered.
  if (earlier !== undefined) refuseOther(earlier, place, user);
}
