/** The Worker's refusal, in its own words (RFC 9457). */
export class RouteError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }

  static async from(answer: Response): Promise<RouteError> {
    const problem = await answer.json().catch(() => undefined);
    return new RouteError(
      answer.status,
      problem?.code ?? "bad_response",
      problem?.detail ?? `The Worker answered ${answer.status}.`,
    );
  }
}
