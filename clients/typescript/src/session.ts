export interface Tokens {
  accessToken: string;
  refreshToken?: string;
}

type Send = (request: Request) => Promise<Response>;

/** What a fresh access token helps against. */
const RENEWABLE: readonly unknown[] = ['TOKEN_EXPIRED', 'TOKEN_REVOKED'];

/** Sends requests with the access token, and again with a new one where it is no longer good. */
export class Session {
  tokens: Tokens | undefined;
  private renewal: Promise<boolean> | undefined;

  constructor(
    private readonly baseUrl: string,
    private readonly transport: Send,
    private readonly onTokens: ((tokens: Tokens) => void) | undefined,
  ) {}

  async send(request: Request): Promise<Response> {
    const used = this.tokens?.accessToken;
    const canRenew = this.tokens?.refreshToken !== undefined;
    const answer = await this.transport(signed(canRenew ? request.clone() : request, used));
    if (!canRenew || answer.status !== 401 || !(await isRenewable(answer))) return answer;
    // Another request may have renewed it while this one was on its way.
    const isRenewed = this.tokens?.accessToken !== used || (await this.renew());
    return isRenewed ? this.transport(signed(request, this.tokens?.accessToken)) : answer;
  }

  /** One renewal for all who wait: a refresh token is good for one use. */
  private renew(): Promise<boolean> {
    this.renewal ??= this.refresh().finally(() => {
      this.renewal = undefined;
    });
    return this.renewal;
  }

  private async refresh(): Promise<boolean> {
    const before = this.tokens;
    const answer = await this.transport(
      new Request(`${this.baseUrl.replace(/\/$/, '')}/api/v1/auth/refresh`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ refreshToken: before?.refreshToken }),
      }),
    );
    if (!answer.ok) return false;
    const { data } = (await answer.json()) as { data: Required<Tokens> };
    // Whoever logged in or out meanwhile has the last word.
    if (this.tokens !== before) return true;
    this.tokens = { accessToken: data.accessToken, refreshToken: data.refreshToken };
    this.onTokens?.(this.tokens);
    return true;
  }
}

function signed(request: Request, accessToken: string | undefined): Request {
  if (accessToken !== undefined && !request.headers.has('Authorization')) {
    request.headers.set('Authorization', `Bearer ${accessToken}`);
  }
  return request;
}

async function isRenewable(answer: Response): Promise<boolean> {
  const body = (await answer
    .clone()
    .json()
    .catch(() => undefined)) as { error?: { code?: unknown } } | undefined;
  return RENEWABLE.includes(body?.error?.code);
}
