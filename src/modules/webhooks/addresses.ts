import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { Injectable } from '@nestjs/common';
import ipaddr from 'ipaddr.js';
import { Config } from '../../config.js';
import { RefusedUrl } from './webhooks.errors.js';

/** Where a name leads, checked. */
export interface Address {
  address: string;
  family: 4 | 6;
}

/** Asks the name servers; a part of what `dns.Resolver` offers. */
export interface Names {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

/** All of the IPv6 space that is given out for use in the open. */
const GLOBAL_IPV6 = ipaddr.parseCIDR('2000::/3');
/** Public by its number, and yet the inside of a cloud: Azure's service for its virtual machines. */
const INSIDE_A_CLOUD = ['168.63.129.16'];

/**
 * Whether an address is one of the open internet. No list of bad ranges is ever whole, so ipaddr.js has to say of an
 * address that it is in none of those it knows, and of IPv6 only what is given out counts: addresses that carry an IPv4
 * address in them are outside of that, or known to ipaddr.js.
 */
export function isPublic(text: string): boolean {
  if (isIP(text) === 0) return false;
  const address = ipaddr.parse(text);
  if (address.range() !== 'unicast' || INSIDE_A_CLOUD.includes(text)) return false;
  return address.kind() === 'ipv4' || address.match(GLOBAL_IPV6);
}

/**
 * Reads a URL that deliveries may be sent to. What it leads to is not looked at yet.
 *
 * @throws RefusedUrl
 */
export function parseUrl(text: string): URL {
  // The URL parser drops blanks and line breaks; whoever sends some means something else by it.
  // eslint-disable-next-line no-control-regex
  if (!URL.canParse(text) || /[\s\x00-\x1f\x7f\\]/.test(text)) throw new RefusedUrl('must be a URL');
  const url = new URL(text);
  // The URL parser also takes `http:example.com`.
  if (!/^https?:\/\/[^/]/i.test(text)) throw new RefusedUrl('must begin with https:// or http://');
  if (url.username !== '' || url.password !== '') throw new RefusedUrl('must not contain a user name or a password');
  if (url.hash !== '') throw new RefusedUrl('must not contain a fragment');
  // 80 and 443 are empty where they are their protocol's own.
  if (!['', '80', '443'].includes(url.port) && Number(url.port) < 1024) {
    throw new RefusedUrl('must have port 80, port 443 or one from 1024 on');
  }
  return url;
}

/** Says where a URL leads, and refuses what is not the open internet, unless `WEBHOOK_ALLOW_PRIVATE` is set. */
@Injectable()
export class Addresses {
  private readonly names: Names = new Resolver({ timeout: 3000, tries: 2 });

  constructor(private readonly config: Config) {}

  /**
   * The addresses to connect to, and to no others: a name may lead elsewhere the next time it is asked. `undefined`
   * where any will do.
   *
   * @throws RefusedUrl
   */
  resolve(url: URL): Promise<Address[] | undefined> {
    return this.config.webhookAllowPrivate ? Promise.resolve(undefined) : publicAddressesOf(url.hostname, this.names);
  }
}

/**
 * Asked of the name servers themselves, not of the operating system: that takes a thread of the few that passwords are
 * hashed on, for as long as a name server likes, and knows names of this machine that nobody else does.
 *
 * @throws RefusedUrl where it leads nowhere, or any of its addresses is not public
 */
export async function publicAddressesOf(hostname: string, names: Names): Promise<Address[]> {
  const literal = hostname.replace(/^\[|\]$/g, '');
  const found = isIP(literal) === 0 ? await lookUp(hostname, names) : [literal];
  if (found.length === 0) throw new RefusedUrl('must lead somewhere: its host has no address');
  if (!found.every(isPublic)) throw new RefusedUrl('must not lead into a private or reserved network');
  return found.map((address) => ({ address, family: isIP(address) === 6 ? 6 : 4 }));
}

async function lookUp(name: string, names: Names): Promise<string[]> {
  const none = (): string[] => [];
  const [four, six] = await Promise.all([names.resolve4(name).catch(none), names.resolve6(name).catch(none)]);
  return [...four, ...six];
}
