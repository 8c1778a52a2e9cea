// One kind of request, on several servers in turn.
import { deepStrictEqual } from 'node:assert/strict';
import { median } from './checks.mjs';
import { load } from './load.mjs';
import { spent } from './processes.mjs';

const number = (value) => Number(value.toPrecision(4));

/** Measures works on servers that take turns: all but the one that is measured are stopped in their tracks. */
export class Comparison {
  /** @param warmUp in requests, for that is what a compiler goes by, and in seconds, for a machine that is busy */
  constructor({ servers, postgres, redis, rounds, seconds, warmUp, say }) {
    Object.assign(this, { servers, postgres, redis, rounds, seconds, warmUp, say, isOnlyExpected: true });
    this.warm = new Set();
  }

  /** Medians of the rounds by server, and what Stoa's are to the others', each to those of the same round. */
  async run(name, work) {
    const servers = this.servers.filter((server) => server.can(name));
    await this.assertSame(servers, work);
    const measured = Object.fromEntries(servers.map((server) => [server.name, []]));
    for (let round = 0; round < this.rounds; round++) {
      for (const server of servers) measured[server.name].push(await this.measure(server, name, work));
    }
    return summary(measured);
  }

  /** The 99th percentile of servers that all have half of the load that the slower one can bear. */
  async atHalfLoad(names, work, results) {
    const servers = this.servers.filter((server) => names.includes(server.name));
    const rate = Math.min(...servers.map((server) => results[server.name].rps)) / 2;
    const p99 = Object.fromEntries(servers.map((server) => [server.name, []]));
    for (let round = 0; round < this.rounds; round++) {
      for (const server of servers) {
        await this.resume(server);
        await load({ port: server.port, seconds: 1, rate, next: work.next });
        const { p99: one, statuses } = await load({ port: server.port, seconds: this.seconds, rate, next: work.next });
        await this.pause(server);
        this.check(server, work, statuses);
        p99[server.name].push(one);
      }
    }
    const medians = Object.fromEntries(Object.entries(p99).map(([name, values]) => [name, number(median(values))]));
    const [mine, others] = servers.map((server) => p99[server.name]);
    return {
      rate: Math.round(rate),
      p99: medians,
      ratio: number(median(mine.map((value, round) => value / others[round]))),
    };
  }

  async measure(server, name, { next, status, what }) {
    await this.resume(server);
    const isWarm = this.warm.has(`${server.name} ${name}`);
    this.warm.add(`${server.name} ${name}`);
    const { requests, seconds } = this.warmUp;
    await load({ port: server.port, requests: isWarm ? requests / 10 : requests, seconds: isWarm ? 2 : seconds, next });
    const before = { server: server.cpu(), postgres: this.postgres.cpu(), redis: this.redis.cpu() };
    const { total, rps, p50, p99, statuses } = await load({ port: server.port, seconds: this.seconds, next });
    const cpu = (server.cpu() - before.server) / total;
    const cpuPostgres = spent(before.postgres, this.postgres.cpu()) / total;
    const cpuRedis = (this.redis.cpu() - before.redis) / total;
    await this.pause(server);
    this.check(server, { status, what }, statuses);
    return { rps, p50, p99, cpu, cpuPostgres, cpuRedis };
  }

  check(server, { status = 200, what }, statuses) {
    const unexpected = Object.fromEntries(Object.entries(statuses).filter(([each]) => each !== String(status)));
    if (Object.keys(unexpected).length === 0) return;
    this.isOnlyExpected = false;
    this.say(`${server.name}: ${what}: answers of unexpected status: ${JSON.stringify(unexpected)}`);
  }

  /** A server that answers something else, or writes something else, is no reference. */
  async assertSame(servers, { next, read }) {
    if (servers.length < 2) return;
    const given = next(0);
    const shown = [];
    for (const server of servers) {
      await this.resume(server);
      const each = read ? given : next(0);
      await load({
        port: server.port,
        connections: 1,
        requests: 1,
        next: () => ({
          text: each.text ?? each,
          onAnswer(body, status) {
            each.onAnswer?.(body, status);
            shown.push(read ? JSON.parse(body).data : shapeOf(JSON.parse(body).data));
          },
        }),
      });
      await this.pause(server);
    }
    const [mine, ...others] = shown;
    others.forEach((each, index) => {
      if (servers[index + 1].name !== 'orm')
        deepStrictEqual(each, mine, `${servers[index + 1].name} answers otherwise`);
    });
  }

  async resume(server) {
    await server.resume();
    // What the others have done is nothing that this one has to catch up with.
    await this.postgres.query(
      `UPDATE webhook_cursor SET (transaction_id, event_id) =
         (SELECT transaction_id, id FROM events ORDER BY transaction_id DESC, id DESC LIMIT 1)
        WHERE EXISTS (SELECT FROM events)`,
    );
    // Everybody begins with a log that was just written out.
    await this.postgres.query('CHECKPOINT');
  }

  /** Not in the middle of a transaction, whose locks would stay. */
  async pause(server) {
    for (;;) {
      server.pause();
      const { rows } = await this.postgres.query(
        `SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
            AND backend_type = 'client backend'`,
      );
      if (rows.length === 0) return;
      await server.resume();
    }
  }
}

/** The names of the fields, and what kind of value each has. */
function shapeOf(value) {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  if (Array.isArray(value)) return value.map(shapeOf);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shapeOf(each)]));
}

function summary(measured) {
  const names = Object.keys(measured);
  const medians = (runs) =>
    Object.fromEntries(Object.keys(runs[0]).map((key) => [key, number(median(runs.map((run) => run[key])))]));
  const ratio = (name, key) => median(measured.stoa.map((mine, round) => mine[key] / measured[name][round][key]));
  const ratios = (name) =>
    Object.fromEntries(['rps', 'cpu', 'cpuPostgres'].map((key) => [key, Number(ratio(name, key).toFixed(3))]));
  return {
    servers: Object.fromEntries(names.map((name) => [name, medians(measured[name])])),
    ratios: Object.fromEntries(names.slice(1).map((name) => [name, ratios(name)])),
  };
}
