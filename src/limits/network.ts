import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * One spelling for each address: IPv4 that came in as IPv6 is IPv4 again, and a zone or a port is left out.
 * `undefined` for what is no address.
 */
export function addressOf(text: string): string | undefined {
  const [, bare = text] = /^\[?([^\]%]*?)(?:%[^\]]*)?(?:\](?::\d+)?)?$/.exec(text) ?? [];
  const address = isIP(bare) === 0 ? (/^([\d.]+):\d+$/.exec(bare)?.[1] ?? '') : bare;
  return isIP(address) === 0 ? undefined : ipaddr.process(address).toString();
}

/** Whom an address stands for: itself in IPv4; in IPv6, where everybody has many, its /64. */
export function networkOf(text: string): string {
  const address = addressOf(text);
  if (address === undefined) return 'unknown';
  const parsed = ipaddr.parse(address);
  if (parsed.kind() === 'ipv4') return address;
  const parts = (parsed as ipaddr.IPv6).parts.slice(0, 4);
  return `${parts.map((part) => part.toString(16)).join(':')}::/64`;
}
