/** What JSON.parse would drop or round without a word: the path of the value, and what is wrong with it. */
export interface Inexactness {
  path: string;
  message: string;
}

/**
 * Finds what `JSON.parse(text)` has lost of a sound text: of a name that is given twice all but the last value, of a
 * number the digits that a double has no room for. The usual body passes with one look at each of its characters.
 */
export function findInexactness(text: string, value: unknown): Inexactness | undefined {
  const { names, hasOddNumbers } = skim(text);
  // Each colon outside of a string stands behind a name.
  return hasOddNumbers || names !== countNames(value) ? locate(text) : undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const POINT = 0x2e;
const [ZERO, NINE] = [0x30, 0x39];
const [LETTER_E, CASE_BIT] = [0x65, 0x20];

/** A double holds any whole number of so many digits. */
const SAFE_DIGITS = 15;

function skim(text: string): { names: number; hasOddNumbers: boolean } {
  let names = 0;
  let hasOddNumbers = false;
  let digits = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= ZERO && code <= NINE) {
      if (++digits > SAFE_DIGITS) hasOddNumbers = true;
      continue;
    }
    if (digits > 0 && (code === POINT || (code | CASE_BIT) === LETTER_E)) hasOddNumbers = true;
    digits = 0;
    if (code === COLON) names++;
    else if (code === QUOTE) at = endOfString(text, at);
  }
  return { names, hasOddNumbers };
}

/** Where the string that begins here ends. */
function endOfString(text: string, begin: number): number {
  for (let end = begin; ;) {
    end = text.indexOf('"', end + 1);
    if (end === -1) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
}

function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + countNames(item), 0);
  let count = 0;
  for (const item of Object.values(value)) count += 1 + countNames(item);
  return count;
}

type Frame = { names: Set<string>; name: string } | { index: number };

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

/** Walks the text itself, without recursion: what was dropped from it may be nested as deeply as it likes. */
function locate(text: string): Inexactness | undefined {
  const frames: Frame[] = [];
  let isName = false;
  for (const [token] of text.matchAll(TOKEN)) {
    const frame = frames.at(-1);
    if (token === '{') frames.push({ names: new Set(), name: '' });
    else if (token === '[') frames.push({ index: 0 });
    else if (token === '}' || token === ']') frames.pop();
    else if (token === ',' && frame !== undefined && 'index' in frame) frame.index++;
    else if (isName && frame !== undefined && 'names' in frame) {
      frame.name = JSON.parse(token) as string;
      if (frame.names.has(frame.name)) return { path: pathOf(frames), message: 'is given twice' };
      frame.names.add(frame.name);
    } else if (/^[-\d]/.test(token) && !isExact(token)) {
      return { path: pathOf(frames), message: 'is a number that can not be held exactly' };
    }
    isName = token === '{' || (token === ',' && frame !== undefined && 'names' in frame);
  }
  return undefined;
}

function pathOf(frames: readonly Frame[]): string {
  return frames.reduce((path, frame) => {
    if ('index' in frame) return `${path}[${frame.index}]`;
    return path === '' ? frame.name : `${path}.${frame.name}`;
  }, '');
}

function isExact(literal: string): boolean {
  const number = Number(literal);
  return Number.isFinite(number) && canonical(literal) === canonical(String(number));
}

/** One spelling for each number: its digits without zeros around them, and the power of ten. */
function canonical(literal: string): string {
  const [, whole = '', fraction = '', power = '0'] = /^-?(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(literal) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${significant}e${Number(power) - fraction.length + digits.length - significant.length}`;
}
