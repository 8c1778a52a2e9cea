import { setImmediate as nextTurn } from 'node:timers/promises';
import { Gather } from './gather.js';

describe('questions that are gathered', () => {
  const asked: string[][] = [];
  let answering = Promise.resolve();
  /** Nothing is answered until that is called. */
  const hold = (): (() => void) => {
    let letGo: () => void = () => undefined;
    answering = new Promise((resolve) => (letGo = resolve));
    return letGo;
  };
  const gather = new Gather(async (ids) => {
    asked.push(ids);
    await answering;
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
    const answer = hold();
    const first = gather.of('a');
    await nextTurn();
    const second = gather.of('a');
    answer();
    await Promise.all([first, second]);
    expect(asked).toEqual([['a'], ['a']]);
  });

  it('wait for one another when two are under way, and take along who comes meanwhile', async () => {
    const answer = hold();
    const all = [];
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      all.push(gather.of(id));
      await nextTurn();
    }
    answer();
    await Promise.all(all);
    expect(asked).toEqual([['a'], ['b'], ['c', 'd', 'e']]);
  });

  it('fail together, and the next do not', async () => {
    const answers = await Promise.allSettled([gather.of('broken'), gather.of('a')]);
    expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await gather.of('a')).toBe('a 2');
  });
});
