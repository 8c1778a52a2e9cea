/**
 * Two spellings of one address are one address: this is what is compared, wherever addresses are. Unicode's case folding,
 * as near as JavaScript comes to it: down, for the capital ß; up, which makes ss of every ß; and down again. The dotless ı
 * stays what it is: its capital would make it an i.
 */
export const emailKeyOf = (email: string): string =>
  email
    .normalize('NFC')
    .split('ı')
    .map((part) => part.toLowerCase().toUpperCase().toLowerCase())
    .join('ı');

/** Whether two spellings of one address surely are one mailbox: what differs is only the case of its letters. */
export const isSameMailbox = (one: string, other: string): boolean =>
  one.normalize('NFC').toLowerCase() === other.normalize('NFC').toLowerCase();
