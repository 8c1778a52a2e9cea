import { type App, type Client, dataOf, failureOf, fieldsOf, NOTHING, startApp, type UserClient } from './app.js';

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

  it('changes no entry, whoever asks', async () => {
    await app.funded(await app.register(), 100);
    expect((await admin.delete(`/transfers/${NOTHING}`)).status).toBe(405);
  });
});
