import Sequencer from '@jest/test-sequencer';

/** What says how long something takes under load: late, when hardly anything runs beside it. */
const MEASURES = /test\/outages\/overload\./;

export default class extends Sequencer {
  async sort(tests) {
    const sorted = [...(await super.sort(tests))];
    return sorted.sort((one, other) => MEASURES.test(one.path) - MEASURES.test(other.path));
  }
}
