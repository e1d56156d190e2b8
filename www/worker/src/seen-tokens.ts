// Tokens that were found to be good: a page sends the same one with each of its requests, for an hour.
import type { JWTPayload } from "jose";

/** How many are remembered. */
const MOST = 500;
/** What is longer is looked at each time: together they take two megabytes at most. */
const LONGEST = 4 * 1024;

/** Of some keys, as long as those count. What a token says is told only while it says that it holds. */
export class SeenTokens {
  readonly #claims = new Map<string, JWTPayload>();

  /** The token's claims; `undefined` where it has to be looked at, one that has just ended too. */
  find(token: string): JWTPayload | undefined {
    const claims = this.#claims.get(token);
    if (claims === undefined) return undefined;
    if ((claims.exp ?? 0) * 1000 > Date.now()) return claims;
    this.#claims.delete(token);
    return undefined;
  }

  /** Takes the claims of a token that has just been verified, and gives them back. Of too many tokens the first is forgotten. */
  keep(token: string, payload: JWTPayload): JWTPayload {
    if (token.length > LONGEST) return payload;
    for (const oldest of this.#claims.keys()) {
      if (this.#claims.size < MOST) break;
      this.#claims.delete(oldest);
    }
    const { iss, sub, role, is_anonymous: isAnonymous, exp } = payload;
    this.#claims.set(token, { iss, sub, role, is_anonymous: isAnonymous, exp } as JWTPayload);
    return payload;
  }
}
