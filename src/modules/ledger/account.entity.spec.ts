import { Account } from './account.entity.js';
import { AmountOutOfRange, InsufficientFunds } from './ledger.errors.js';

const MOST = Number.MAX_SAFE_INTEGER;
const holding = (balance: number, kind: 'user' | 'shop' | 'outside' = 'user') =>
  Object.assign(Account.open(kind, kind === 'user' ? '01890000-0000-7000-8000-000000000001' : null, 'EUR'), {
    balance,
  });
const taking = (account: Account, amount: number) => () => {
  account.assertTakes(amount);
};

describe('an account', () => {
  it('begins with nothing', () => {
    expect(Account.open('user', null, 'EUR')).toMatchObject({ balance: 0, entries: 0, closedAt: null });
  });

  it('of a user gives what it holds and no more', () => {
    expect(taking(holding(100), -100)).not.toThrow();
    expect(taking(holding(100), -101)).toThrow(InsufficientFunds);
    expect(taking(holding(0), -0)).not.toThrow();
  });

  it('of the house may owe', () => {
    expect(taking(holding(0, 'outside'), -100)).not.toThrow();
  });

  it('holds no more than a JSON number carries, either way', () => {
    expect(taking(holding(MOST - 1), 1)).not.toThrow();
    expect(taking(holding(MOST), 1)).toThrow(AmountOutOfRange);
    expect(taking(holding(MOST), MOST)).toThrow(AmountOutOfRange);
    expect(taking(holding(-MOST, 'outside'), -1)).toThrow(AmountOutOfRange);
    expect(taking(holding(-MOST, 'shop'), MOST)).not.toThrow();
  });
});
