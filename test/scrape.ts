import { setTimeout as sleep } from 'node:timers/promises';

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** What `/metrics` said at one moment. */
export class Scrape {
  private constructor(
    readonly samples: readonly Sample[],
    /** As `# TYPE` declares them, without `_bucket`, `_sum` and `_count`. */
    readonly names: readonly string[],
  ) {}

  static async of(url: string): Promise<Scrape> {
    const answer = await fetch(`${url}/metrics`);
    if (answer.status !== 200) throw new Error(`/metrics answered ${answer.status}`);
    const text = await answer.text();
    const samples = [...text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, labels = '', value]) => ({
      name: name!,
      labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, text]) => [label!, text!])),
      value: Number(value),
    }));
    return new Scrape(samples, [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name!).sort());
  }

  /** As soon as there is one that is such: some gauges are read every few seconds only. */
  static async until(url: string, isSuch: (scrape: Scrape) => boolean, withinMs = 20_000): Promise<Scrape> {
    for (const deadline = Date.now() + withinMs; ; await sleep(100)) {
      const scrape = await Scrape.of(url);
      if (isSuch(scrape)) return scrape;
      if (Date.now() > deadline) throw new Error(`It stays ${JSON.stringify(scrape.samples, null, 1)}`);
    }
  }

  /** The sum of those with these labels; `undefined` where there is none. */
  value(name: string, labels: Record<string, string> = {}): number | undefined {
    const wanted = Object.entries(labels);
    const samples = this.samples.filter(
      (sample) => sample.name === name && wanted.every(([label, text]) => sample.labels[label] === text),
    );
    return samples.length === 0 ? undefined : samples.reduce((sum, { value }) => sum + value, 0);
  }
}
