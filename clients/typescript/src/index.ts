import createFetchClient, { type Client as FetchClient } from 'openapi-fetch';
import type { components, paths } from './schema.js';
import { Session, type Tokens } from './session.js';

export { list, type ListItem, type ListPath } from './list.js';
export type { Tokens } from './session.js';
export { StoaError } from './stoa-error.js';
export type { components, operations, paths } from './schema.js';

/** The shapes of the API, by name: `Schemas['OrderView']`. */
export type Schemas = components['schemas'];
/** What `error.error.code` may be. */
export type ErrorCode = Schemas['ErrorAnswer']['error']['code'];

export interface ClientOptions {
  /** Where the server is, without `/api`: `https://shop.example`. */
  baseUrl: string;
  accessToken?: string;
  /** With it, an access token that is no longer good is renewed, once for all requests that wait for it. */
  refreshToken?: string;
  /** Told each time the tokens have been renewed: keep them, the refresh token that was used is spent. */
  onTokens?: (tokens: Tokens) => void;
  fetch?: (request: Request) => Promise<Response>;
}

/** Calls every route by method and path, typed from end to end; see openapi-fetch for what a call takes and returns. */
export type Client = FetchClient<paths, 'application/json'> & {
  /** Goes on as somebody else: with the answer of register, login or refresh, or with nothing to log out here. */
  setTokens(tokens: Tokens | undefined): void;
};

export function createClient({ baseUrl, accessToken, refreshToken, onTokens, fetch }: ClientOptions): Client {
  const send = fetch ?? ((request: Request) => globalThis.fetch(request));
  const session = new Session(baseUrl, send, onTokens);
  if (accessToken !== undefined) session.tokens = { accessToken, ...(refreshToken !== undefined && { refreshToken }) };
  const client = createFetchClient<paths, 'application/json'>({ baseUrl, fetch: (request) => session.send(request) });
  return Object.assign(client, {
    setTokens: (tokens: Tokens | undefined) => {
      session.tokens = tokens;
    },
  });
}
