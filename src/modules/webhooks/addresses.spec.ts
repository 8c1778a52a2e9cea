import { isPublic, type Names, parseUrl, publicAddressesOf } from './addresses.js';
import { RefusedUrl } from './webhooks.errors.js';

const LEADS_TO: Record<string, string[]> = {
  'shop.example': ['93.184.216.34', '2606:2800:220:1:248:1893:25c8:1946'],
  'inside.example': ['10.1.2.3'],
  'both.example': ['93.184.216.34', '127.0.0.1'],
  'six.example': ['::1'],
  'mapped.example': ['::ffff:10.0.0.1'],
};
const find = async (name: string, isSix: boolean) => {
  const found = (LEADS_TO[name] ?? []).filter((address) => address.includes(':') === isSix);
  if (found.length === 0) throw new Error('ENOTFOUND');
  return found;
};
const names: Names = { resolve4: (name) => find(name, false), resolve6: (name) => find(name, true) };
const resolve = async (url: string) => publicAddressesOf(parseUrl(url).hostname, names);

describe('where webhooks may lead', () => {
  it.each([
    // Loopback, in every spelling that a URL has for it
    'http://127.0.0.1/',
    'http://127.1/',
    'http://127.255.255.254/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x7f.1/',
    'http://017700000001/',
    'http://0177.0.0.01/',
    'http://１２７.0.0.1/',
    'http://127。0。0。1/',
    'http://127.0.0.1./',
    'http://%31%32%37.0.0.1/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    // Unspecified, which most systems take for themselves
    'http://0/',
    'http://0.0.0.0/',
    'http://0.1.2.3/',
    'http://[::]/',
    // Private and shared
    'http://10.0.0.1/',
    'http://172.16.0.1/',
    'http://172.31.255.255/',
    'http://192.168.1.1/',
    'http://100.64.0.1/',
    'http://[fc00::1]/',
    'http://[fd12:3456:789a::1]/',
    'http://[fec0::1]/',
    'http://3232235777/',
    // Link-local, and the metadata of clouds
    'http://169.254.1.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://0xa9fea9fe/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
    'http://192.0.0.192/',
    'http://168.63.129.16/',
    // An IPv4 address inside of an IPv6 one
    'http://[::ffff:10.0.0.1]/',
    'http://[::ffff:0:10.0.0.1]/',
    'http://[64:ff9b::10.0.0.1]/',
    'http://[64:ff9b:1::10.0.0.1]/',
    'http://[2002:7f00:1::]/',
    'http://[2002:a00:1::1]/',
    'http://[2001:0:7f00:1::]/',
    // Multicast, broadcast, reserved, for documents
    'http://224.0.0.1/',
    'http://239.255.255.250/',
    'http://255.255.255.255/',
    'http://240.0.0.1/',
    'http://192.0.2.1/',
    'http://198.18.0.1/',
    'http://198.51.100.1/',
    'http://203.0.113.1/',
    'http://192.88.99.1/',
    'http://[ff02::1]/',
    'http://[2001:db8::1]/',
    'http://[3fff::1]/',
    'http://[100::1]/',
    'http://[5f00::1]/',
    // Names
    'http://inside.example/',
    'http://both.example/',
    'http://six.example/',
    'http://mapped.example/',
    'http://nowhere.example/',
    'http://localhost/',
  ])('not to %s', async (url) => {
    await expect(resolve(url)).rejects.toThrow(RefusedUrl);
  });

  it.each([
    'shop.example',
    '//shop.example/',
    'ftp://shop.example/',
    'file:///etc/passwd',
    'gopher://shop.example/',
    'javascript:alert(1)',
    'http://',
    'http://user@shop.example/',
    'http://user:password@shop.example/',
    'http://:password@shop.example/',
    'http://shop.example:0/',
    'http://shop.example:22/',
    'http://shop.example:25/',
    'http://shop.example:1023/',
    'http://shop.example:65536/',
    'http://shop.example/#fragment',
    ' http://shop.example/',
    'http://shop.example/a b',
    'http://shop.exam\nple/',
    'http://shop.example\\@inside.example/',
    'http://1.2.3.4.5/',
    'http://256.256.256.256/',
    'http://[::1/',
    'http://[fe80::1%25eth0]/',
  ])('not as %j', (url) => {
    expect(() => parseUrl(url)).toThrow(RefusedUrl);
  });

  it.each(['http://shop.example/', 'https://shop.example:8443/a?b=c', 'https://shop.example:80/'])(
    'but to %s, by all of its addresses',
    async (url) => {
      expect(await resolve(url)).toEqual([
        { address: '93.184.216.34', family: 4 },
        { address: '2606:2800:220:1:248:1893:25c8:1946', family: 6 },
      ]);
    },
  );

  it('to a public address as it stands', async () => {
    expect(await resolve('http://93.184.216.34:1024/')).toEqual([{ address: '93.184.216.34', family: 4 }]);
    expect(await resolve('https://[2606:4700:4700::1111]/')).toEqual([{ address: '2606:4700:4700::1111', family: 6 }]);
  });

  it('takes nothing for an address that is none', () => {
    expect(['', 'shop.example', '127.1', '8.8.8.8 ', '08.8.8.8', 'fe80::1%eth0'].filter(isPublic)).toEqual([]);
  });
});
