import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { Injectable } from '@nestjs/common';
import { type Address, Addresses, parseUrl } from './addresses.js';

/** For all of it: finding the address, connecting, and waiting for the answer. */
const PATIENCE_MS = 15_000;
/** What is read of an answer, and what is kept of it. */
const MOST_READ_BYTES = 16 * 1024;
const MOST_KEPT_BYTES = 1024;

export interface Answer {
  status: number;
  retryAfter: string | undefined;
  /** How the body began, as text that a database can hold. */
  excerpt: string;
}

/** Somebody told us to stop: nothing can be said of the receiver. */
export class Interrupted extends Error {}

/** Brings one message to a receiver, and follows it nowhere else. */
@Injectable()
export class Transport {
  constructor(private readonly addresses: Addresses) {}

  /**
   * Sends a POST and waits for the answer. One that has begun counts, however its body goes on.
   *
   * @throws Interrupted when `stop` says so; RefusedUrl before there is any connection; otherwise what went wrong
   */
  async post(
    text: string,
    headers: Readonly<Record<string, string>>,
    body: string,
    stop: AbortSignal,
  ): Promise<Answer> {
    const url = parseUrl(text);
    const given = new AbortController();
    const giveUp = (): void => given.abort();
    const timer = setTimeout(giveUp, PATIENCE_MS);
    stop.addEventListener('abort', giveUp);
    try {
      if (stop.aborted) throw new Interrupted();
      const addresses = await beforeAbort(this.addresses.resolve(url), given.signal);
      return await send(url, addresses, headers, body, given.signal);
    } catch (error) {
      if (stop.aborted) throw new Interrupted();
      if (given.signal.aborted) throw new Error(`No answer within ${PATIENCE_MS / 1000} s`, { cause: error });
      throw error;
    } finally {
      clearTimeout(timer);
      stop.removeEventListener('abort', giveUp);
    }
  }
}

function send(
  url: URL,
  addresses: readonly Address[] | undefined,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request: ClientRequest = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
      // A connection for each: one that was kept would go where its address was checked, but maybe long ago.
      agent: false,
      signal,
      ...(addresses && { lookup: only(addresses) }),
    });
    let hasAnswered = false;
    request.on('response', (response) => {
      hasAnswered = true;
      void read(response).then(resolve, reject);
    });
    // From its answer on, a connection that fails is no more than the end of that.
    const failed = (error: Error): void => {
      if (!hasAnswered) reject(error);
    };
    request.on('error', failed);
    request.on('close', () => failed(new Error('The connection was closed without an answer')));
    request.end(body);
  });
}

/** Leads to the addresses that were checked, and asks nobody again. */
function only(addresses: readonly Address[]): LookupFunction {
  return (_hostname, { all }, found) => {
    const [first] = addresses;
    if (all) found(null, [...addresses]);
    else found(null, first?.address ?? '', first?.family);
  };
}

/** Resolves with the head of the answer as soon as there is enough of its body, or no more. */
async function read(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= MOST_READ_BYTES) break;
    }
  } catch {
    // It has answered; that it was slow, or broke off, while it went on is no reason to tell it all again.
  }
  response.destroy();
  return {
    status: response.statusCode ?? 0,
    retryAfter: response.headers['retry-after'],
    excerpt: toText(Buffer.concat(chunks).subarray(0, MOST_KEPT_BYTES)),
  };
}

const toText = (bytes: Buffer): string => new TextDecoder().decode(bytes).replaceAll('\0', '');

/** A promise that nobody waits for any longer may still fail, and is not missed. */
function beforeAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('Too late')), { once: true });
    promise.then(resolve, reject);
  });
}
