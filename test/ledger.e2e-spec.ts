import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { type App, type Client, dataOf, failureOf, fieldsOf, NOTHING, startApp, type UserClient } from './app.js';
import { cleanEnvironment } from './environment.js';

describe('the ledger', () => {
  let app: App;
  let admin: UserClient;
  beforeAll(async () => {
    app = await startApp();
    admin = await app.admin();
  });
  // Whatever happened above: no money came from nowhere, and every balance is the sum of its entries.
  afterAll(async () => {
    try {
      for (const row of dataOf(await admin.get('/ledger/trial-balance'))) {
        expect(row).toMatchObject({ balanceTotal: 0, entriesTotal: 0 });
      }
      const wrong = `SELECT id FROM accounts a
        WHERE balance <> (SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE account_id = a.id)`;
      expect(await app.sql(wrong)).toEqual([]);
    } finally {
      await app?.stop();
    }
  });

  const balanceOf = async (id: string) => dataOf(await admin.get(`/accounts/${id}`)).balance;
  const transfer = (client: Client, fromAccountId: string, toAccountId: string, amount: number) =>
    client.post('/transfers', { fromAccountId, toAccountId, amount });

  describe('an account', () => {
    it('is opened once per currency, with nothing in it', async () => {
      const ann = await app.register('Ann');
      const answer = await ann.post('/accounts', { currency: 'EUR' });
      const account = dataOf(answer, 201);
      expect(account).toMatchObject({ userId: ann.id, currency: 'EUR', balance: 0 });
      expect(answer.headers.get('location')).toBe(`/api/v1/accounts/${account.id}`);
      expect(failureOf(await ann.post('/accounts', { currency: 'EUR' }))).toBe('409 CONFLICT');
      const dollars = dataOf(await ann.post('/accounts', { currency: 'USD' }), 201);
      expect(dataOf(await ann.get('/accounts'))).toEqual([dollars, account]);
      expect(fieldsOf(await ann.post('/accounts', { currency: 'EUR', balance: 100 }))).toEqual(['balance']);
      expect(new Set(fieldsOf(await ann.post('/accounts', { currency: 'gold' })))).toEqual(new Set(['currency']));
    });

    it('is seen by its owner and by moderators', async () => {
      const [ann, bob, moderator] = [await app.register('Ann'), await app.register('Bob'), await app.moderator()];
      const id = await app.funded(ann, 100);
      for (const path of [`/accounts/${id}`, `/accounts/${id}/entries`]) {
        dataOf(await ann.get(path));
        dataOf(await moderator.get(path));
        expect(failureOf(await bob.get(path))).toBe('403 FORBIDDEN');
      }
      expect(dataOf(await bob.get('/accounts'))).toEqual([]);
      expect(failureOf(await ann.get(`/accounts/${NOTHING}`))).toBe('404 NOT_FOUND');
    });
  });

  describe('a deposit', () => {
    it('is for admins, and tells where the money is', async () => {
      const ann = await app.register('Ann');
      const accountId = await app.funded(ann, 0);
      for (const client of [ann, await app.moderator()]) {
        expect(failureOf(await client.post('/deposits', { accountId, amount: 100 }))).toBe('403 FORBIDDEN');
      }
      const deposit = dataOf(await admin.post('/deposits', { accountId, amount: 100, note: 'Cash' }), 201);
      expect(deposit).toMatchObject({ amount: 100, currency: 'EUR' });
      expect(await balanceOf(accountId)).toBe(100);
      expect(dataOf(await ann.get(`/accounts/${accountId}/entries`))).toMatchObject([
        { transferId: deposit.id, amount: 100, balanceAfter: 100, kind: 'deposit' },
      ]);
    });

    it.each([0, -5, 1.5, '10', null, 9_007_199_254_740_992])('of %p is refused', async (amount) => {
      const accountId = await app.funded(await app.register(), 0);
      const answer = await admin.post('/deposits', { accountId, amount });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(new Set(fieldsOf(answer))).toEqual(new Set(['amount']));
    });

    it('on an unknown account is refused by name', async () => {
      const answer = await admin.post('/deposits', { accountId: NOTHING, amount: 1 });
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['accountId']);
    });
  });

  describe('a transfer', () => {
    it('takes from one and gives to the other', async () => {
      const [ann, bob, eve] = [await app.register('Ann'), await app.register('Bob'), await app.register('Eve')];
      const [from, to] = [await app.funded(ann, 500), await app.funded(bob, 0)];
      const answer = await ann.post('/transfers', { fromAccountId: from, toAccountId: to, amount: 200, note: 'Lunch' });
      const made = dataOf(answer, 201);
      expect(made).toMatchObject({ fromAccountId: from, toAccountId: to, amount: 200, currency: 'EUR', note: 'Lunch' });
      expect(answer.headers.get('location')).toBe(`/api/v1/transfers/${made.id}`);
      expect([await balanceOf(from), await balanceOf(to)]).toEqual([300, 200]);
      expect(dataOf(await ann.get(`/accounts/${from}/entries`))[0]).toMatchObject({ amount: -200, balanceAfter: 300 });
      for (const client of [ann, bob, admin]) expect(dataOf(await client.get(`/transfers/${made.id}`))).toEqual(made);
      expect(failureOf(await eve.get(`/transfers/${made.id}`))).toBe('403 FORBIDDEN');
      expect(failureOf(await ann.get(`/transfers/${NOTHING}`))).toBe('404 NOT_FOUND');
    });

    it('is refused without the money, the currency, the right or an other account', async () => {
      const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
      const [from, to, dollars] = [
        await app.funded(ann, 100),
        await app.funded(bob, 100),
        await app.funded(bob, 0, 'USD'),
      ];
      expect(failureOf(await transfer(ann, from, to, 101))).toBe('422 INSUFFICIENT_FUNDS');
      expect(failureOf(await transfer(ann, from, dollars, 1))).toBe('422 CURRENCY_MISMATCH');
      expect((await transfer(ann, from, from, 1)).status).toBe(422);
      expect(failureOf(await transfer(ann, from, NOTHING, 1))).toBe('422 VALIDATION_ERROR');
      expect(failureOf(await transfer(ann, to, from, 1))).toBe('403 FORBIDDEN');
      expect(failureOf(await transfer(admin, from, to, 1))).toBe('403 FORBIDDEN');
      expect([await balanceOf(from), await balanceOf(to)]).toEqual([100, 100]);
    });

    it('can go both ways at once, many times', async () => {
      const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
      const [anns, bobs] = [await app.funded(ann, 10_000), await app.funded(bob, 10_000)];
      const transfers = Array.from({ length: 60 }, (_, n) =>
        n % 2 ? transfer(ann, anns, bobs, 7) : transfer(bob, bobs, anns, 5),
      );
      expect((await Promise.all(transfers)).filter(({ status }) => status !== 201)).toEqual([]);
      expect([await balanceOf(anns), await balanceOf(bobs)]).toEqual([9940, 10_060]);
    });

    it('never spends the same money twice', async () => {
      const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
      const [anns, bobs] = [await app.funded(ann, 100), await app.funded(bob, 0)];
      const answers = await Promise.all(Array.from({ length: 10 }, () => transfer(ann, anns, bobs, 30)));
      expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
      expect(answers.filter(({ status }) => status !== 201).map(failureOf)).toEqual(
        Array(7).fill('422 INSUFFICIENT_FUNDS'),
      );
      expect([await balanceOf(anns), await balanceOf(bobs)]).toEqual([10, 90]);
    });
  });

  it('shows its sums to admins only', async () => {
    expect(failureOf(await (await app.moderator()).get('/ledger/trial-balance'))).toBe('403 FORBIDDEN');
    await app.funded(await app.register(), 100, 'JPY');
    const sums = dataOf(await admin.get('/ledger/trial-balance'));
    expect(sums).toContainEqual({ currency: 'JPY', accounts: 2, entries: 2, balanceTotal: 0, entriesTotal: 0 });
  });

  it('lists the accounts of everybody to moderators, and of one if they wish', async () => {
    const [ann, bob, moderator] = [await app.register('Ann'), await app.register('Bob'), await app.moderator()];
    const [anns, bobs] = [await app.funded(ann, 0), await app.funded(bob, 0)];
    const idsOf = async (client: Client, query: string) =>
      dataOf(await client.get(`/accounts?${query}`)).map(({ id }: any) => id);
    expect(await idsOf(moderator, 'limit=2')).toEqual([bobs, anns]);
    expect(await idsOf(moderator, `userId=${ann.id}`)).toEqual([anns]);
    expect(await idsOf(ann, `userId=${ann.id}`)).toEqual([anns]);
    expect(failureOf(await ann.get(`/accounts?userId=${bob.id}`))).toBe('403 FORBIDDEN');
  });

  it('takes no sum that a JSON number can not carry, and counts on up to it', async () => {
    const [ann, bob] = [await app.register('Ann'), await app.register('Bob')];
    const [anns, bobs] = [await app.funded(ann, 0, 'CHF'), await app.funded(bob, 0, 'CHF')];
    const most = Number.MAX_SAFE_INTEGER;
    const deposit = (accountId: string, amount: number) => admin.post('/deposits', { accountId, amount });
    dataOf(await deposit(anns, most - 1), 201);
    // The outside world owes as much as it has given: it has come to its end before any account can.
    for (const answer of [await deposit(anns, 2), await deposit(bobs, most)]) {
      expect(failureOf(answer)).toBe('422 VALIDATION_ERROR');
      expect(fieldsOf(answer)).toEqual(['amount']);
    }
    dataOf(await deposit(bobs, 1), 201);
    dataOf(await transfer(bob, bobs, anns, 1), 201);
    expect(await balanceOf(anns)).toBe(most);
    dataOf(await transfer(ann, anns, bobs, most), 201);
    expect(await balanceOf(bobs)).toBe(most);
    const sums = dataOf(await admin.get('/ledger/trial-balance'));
    expect(sums).toContainEqual({ currency: 'CHF', accounts: 3, entries: 8, balanceTotal: 0, entriesTotal: 0 });
  });

  it('changes no entry, whoever asks', async () => {
    await app.funded(await app.register(), 100);
    expect((await admin.delete(`/transfers/${NOTHING}`)).status).toBe(405);
  });

  describe('is held by the database, which', () => {
    let anns: string;
    let bobs: string;
    beforeAll(async () => {
      [anns, bobs] = [
        await app.funded(await app.register('Ann'), 100),
        await app.funded(await app.register('Bob'), 100),
      ];
    });
    // The rules that are checked at commit are checked at once outside of a transaction.
    const refused = (sql: string, values?: unknown[]) => expect(app.sql(sql, values)).rejects;
    const insert = (entries: [accountId: string, amount: number][], amount = 5) => {
      const rows = entries.map(
        ([account, sum]) => `(gen_random_uuid(), (SELECT id FROM made), '${account}', ${sum}, now())`,
      );
      return app.sql(
        `BEGIN;
         CREATE TEMPORARY TABLE made AS SELECT gen_random_uuid() AS id;
         INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_at)
         SELECT id, 'transfer', '${anns}', '${bobs}', ${amount}, 'EUR', now() FROM made;
         ${rows.length > 0 ? `INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at) VALUES ${rows.join()};` : ''}
         COMMIT`,
      );
    };

    it('changes and deletes no entry and no transfer', async () => {
      for (const table of ['ledger_entries', 'transfers']) {
        await refused(`UPDATE ${table} SET amount = amount + 1`).toThrow(`${table} are never changed`);
        await refused(`DELETE FROM ${table}`).toThrow(`${table} are never changed`);
        await refused(`TRUNCATE ${table} CASCADE`).toThrow('never changed');
      }
    });

    it('sets no balance but by an entry', async () => {
      await refused('UPDATE accounts SET balance = balance + 1').toThrow('is the sum of its entries');
      await refused('UPDATE accounts SET entries = 0 WHERE entries > 0').toThrow('is the sum of its entries');
      await refused(
        `INSERT INTO accounts (id, kind, currency, balance, entries, created_at)
         VALUES (gen_random_uuid(), 'shop', 'SEK', 1, 0, now())`,
      ).toThrow('is the sum of its entries');
    });

    it('keeps an account what it is', async () => {
      for (const change of [`currency = 'USD'`, `kind = 'shop', user_id = NULL`, `user_id = gen_random_uuid()`]) {
        await refused(`UPDATE accounts SET ${change} WHERE id = $1`, [anns]).toThrow('keeps its currency, its kind');
      }
    });

    it('takes no transfer from one currency to another', async () => {
      const dollars = await app.funded(await app.register('Dan'), 100, 'USD');
      await expect(insert([[anns, -5], [dollars, 5]])).rejects.toThrow(/do not sum to zero/); // prettier-ignore
      const insertTo = (to: string) =>
        app.sql(
          `WITH made AS (
             INSERT INTO transfers (id, kind, from_account_id, to_account_id, amount, currency, created_at)
             VALUES ($1, 'transfer', $2, $3, 5, 'EUR', now()) RETURNING id
           ) SELECT id FROM made`,
          [randomUUID(), anns, to],
        );
      for (const to of [bobs, dollars]) await expect(insertTo(to)).rejects.toThrow(/do not sum to zero/);
    });

    it('takes no transfer that makes or loses money', async () => {
      const uneven = /do not sum to zero/;
      await expect(insert([[anns, -5], [bobs, 6]])).rejects.toThrow(uneven); // prettier-ignore
      await expect(insert([[anns, -5]])).rejects.toThrow(uneven);
      await expect(insert([])).rejects.toThrow(uneven);
      await expect(insert([[anns, 5], [bobs, -5]])).rejects.toThrow(uneven); // prettier-ignore
      await refused(
        `INSERT INTO ledger_entries (id, transfer_id, account_id, amount, created_at)
         SELECT gen_random_uuid(), transfer_id, $1, 7, now() FROM ledger_entries WHERE account_id = $2`,
        [anns, bobs],
      ).toThrow(uneven);
      await insert([[anns, -5], [bobs, 5]]); // prettier-ignore
      expect([await balanceOf(anns), await balanceOf(bobs)]).toEqual([95, 105]);
    });

    it('lets no user’s balance go below zero', async () => {
      await expect(insert([[anns, -1000], [bobs, 1000]], 1000)).rejects.toThrow('accounts_balance_check'); // prettier-ignore
    });
  });

  describe('verified by its script', () => {
    const verify = async (): Promise<{ code: number | null; output: string }> => {
      const script = spawn(process.execPath, [resolve(__dirname, '../dist/src/verify-ledger.js')], {
        env: { ...cleanEnvironment(), NODE_ENV: 'test', DATABASE_URL: app.databaseUrl, DATA_DIR: app.dataDir },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      script.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      const [code] = (await once(script, 'close')) as [number | null];
      return { code, output };
    };
    /** What nobody but a superuser who means it can do. */
    const force = (sql: string) => app.sql(`BEGIN; SET LOCAL session_replication_role = replica; ${sql}; COMMIT`);

    it('is found right, and each wrong account and transfer is named', async () => {
      const right = await verify();
      expect(right.output).toMatch(/^\d+ accounts and \d+ transfers checked, nothing wrong\n$/);
      expect(right.code).toBe(0);

      const [anns, bobs] = [await app.funded(await app.register(), 500), await app.funded(await app.register(), 500)];
      const entryOf = `(SELECT id FROM ledger_entries WHERE account_id = '${bobs}')`;
      await force(`UPDATE accounts SET balance = 501 WHERE id = '${anns}'`);
      await force(`UPDATE ledger_entries SET amount = 499 WHERE id = ${entryOf}`);
      try {
        const wrong = await verify();
        expect(wrong.code).toBe(1);
        const lines = wrong.output.trimEnd().split('\n');
        expect(lines).toHaveLength(4);
        expect(lines.filter((line) => line.startsWith('account')).join()).toContain(
          `account ${anns} (user EUR): balance 501`,
        );
        expect(lines.filter((line) => line.startsWith('account')).join()).toContain(`account ${bobs} (user EUR)`);
        expect(lines.filter((line) => line.startsWith('transfer'))).toEqual([
          expect.stringMatching(/\(deposit 500 EUR\): its 2 entries sum to -1$/),
        ]);
        expect(lines.at(-1)).toMatch(/3 wrong$/);
      } finally {
        await force(`UPDATE accounts SET balance = 500 WHERE id = '${anns}'`);
        await force(`UPDATE ledger_entries SET amount = 500 WHERE id = ${entryOf}`);
      }
    });
  });
});
