import { setTimeout as sleep } from 'node:timers/promises';
import { Gather } from './gather.js';

describe('questions that are gathered', () => {
  const asked: string[][] = [];
  const gather = new Gather(async (ids) => {
    asked.push(ids);
    await sleep(20);
    if (ids.includes('broken')) throw new Error('away');
    return new Map(ids.filter((id) => id !== 'missing').map((id) => [id, `${id} ${asked.length}`]));
  });
  beforeEach(() => asked.splice(0));

  it('are one where they are asked in one turn, and each row is asked for once', async () => {
    const answers = await Promise.all(['a', 'b', 'a', 'missing'].map((id) => gather.of(id)));
    expect(answers).toEqual(['a 1', 'b 1', 'a 1', undefined]);
    expect(asked).toEqual([['a', 'b', 'missing']]);
  });

  it('never get an answer that was on its way before they were asked', async () => {
    const first = gather.of('a');
    await sleep(5);
    const second = gather.of('a');
    await Promise.all([first, second]);
    expect(asked).toEqual([['a'], ['a']]);
  });

  it('wait for one another when two are under way, and take along who comes meanwhile', async () => {
    const all = [];
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      all.push(gather.of(id));
      await sleep(1);
    }
    await Promise.all(all);
    expect(asked[0]).toEqual(['a']);
    expect(asked).toHaveLength(3);
    expect(asked.flat().sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('fail together, and the next do not', async () => {
    const answers = await Promise.allSettled([gather.of('broken'), gather.of('a')]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await gather.of('a')).toBe('a 2');
  });
});
