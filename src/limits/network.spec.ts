import { addressOf, networkOf } from './network.js';

describe('an address', () => {
  it.each([
    ['1.2.3.4', '1.2.3.4', '1.2.3.4'],
    ['::ffff:1.2.3.4', '1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4', '1.2.3.4'],
    ['1.2.3.4:5678', '1.2.3.4', '1.2.3.4'],
    ['2001:DB8:0:1::9', '2001:db8:0:1::9', '2001:db8:0:1::/64'],
    ['[2001:db8:0:1:a:b:c:d]:443', '2001:db8:0:1:a:b:c:d', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80::1', 'fe80:0:0:0::/64'],
    ['::1', '::1', '0:0:0:0::/64'],
  ])('%s is %s and counts as %s', (text, address, network) => {
    expect([addressOf(text), networkOf(text)]).toEqual([address, network]);
  });

  it.each(['', 'unknown', '1.2.3', '1.2.3.4.5', '0x7f.1', '::g', '{1.2.3.4}'])('%j is none', (text) => {
    expect([addressOf(text), networkOf(text)]).toEqual([undefined, 'unknown']);
  });
});
