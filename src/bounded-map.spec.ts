import fc from 'fast-check';
import { BoundedMap } from './bounded-map.js';

describe('a bounded map', () => {
  const keys = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 200 });

  it('knows what was used last, as it was last set, and never more than it may', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), keys, (half, uses) => {
        const map = new BoundedMap<number>(2 * half);
        const lastUses: string[] = [];
        const values = new Map<string, number>();
        for (const [turn, number] of uses.entries()) {
          const key = String(number);
          if (turn % 3 === 0 && map.has(key)) expect(map.get(key)).toBe(values.get(key));
          else {
            map.set(key, turn);
            values.set(key, turn);
          }
          const at = lastUses.indexOf(key);
          if (at !== -1) lastUses.splice(at, 1);
          lastUses.push(key);
          expect(map.size).toBeLessThanOrEqual(2 * half);
          for (const used of lastUses.slice(-half)) expect(map.has(used)).toBe(true);
        }
      }),
    );
  });

  it('goes by weight where entries have one', () => {
    fc.assert(
      fc.property(keys, (uses) => {
        const map = new BoundedMap<number>(100, (value) => value);
        const set: [string, number][] = [];
        for (const [turn, number] of uses.entries()) {
          const [key, weight] = [String(number), 1 + (turn % 9)];
          map.set(key, weight);
          const at = set.findIndex(([known]) => known === key);
          if (at !== -1) set.splice(at, 1);
          set.push([key, weight]);
          if (turn % 7 === 3) map.delete(set.splice(set.length >> 1, 1)[0]?.[0] ?? '');
          const held = set.filter(([known]) => map.has(known));
          const weightOf = (entries: typeof set) => entries.reduce((sum, [, each]) => sum + each, 0);
          expect(weightOf(held)).toBeLessThan(100 + 9);
          // What was used last is never thrown away for what was used before it.
          const last = set.findLastIndex((_, index) => weightOf(set.slice(index)) > 50 - 9) + 1;
          for (const [known] of set.slice(last)) expect(map.has(known)).toBe(true);
        }
      }),
    );
  });

  it('forgets what it is told to', () => {
    const map = new BoundedMap<number>(4);
    for (const [value, key] of ['a', 'b', 'c'].entries()) map.set(key, value);
    expect([map.delete('a'), map.delete('a'), map.has('a')]).toEqual([true, false, false]);
    map.drop((value) => value === 1);
    expect([map.get('b'), map.get('c'), map.size]).toEqual([undefined, 2, 1]);
    map.clear();
    expect(map.size).toBe(0);
  });
});
