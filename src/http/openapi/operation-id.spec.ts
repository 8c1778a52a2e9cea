import { operationId } from './operation-id.js';

const idOf = (name: string, route: string, isList = false): string => {
  const [method = '', path = ''] = route.split(' ');
  return operationId({ name, method: method.toLowerCase(), path: `/api/v1${path}`, isList });
};

describe('the name of an operation', () => {
  it.each([
    ['place', 'POST /orders', 'placeOrder'],
    ['get', 'GET /orders/{id}', 'getOrder'],
    ['update', 'PATCH /orders/{id}', 'updateOrder'],
    ['me', 'GET /users/me', 'getMe'],
    ['register', 'POST /auth/register', 'register'],
    ['trialBalance', 'GET /ledger/trial-balance', 'getTrialBalance'],
    ['transfer', 'POST /transfers', 'transfer'],
  ])('is what is done to what: %s at %s is %s', (name, route, id) => {
    expect(idOf(name, route)).toBe(id);
  });

  it('is about the owner where the path goes below one', () => {
    expect(idOf('pay', 'POST /orders/{id}/payments')).toBe('payOrder');
    expect(idOf('retry', 'POST /webhooks/{id}/deliveries/{deliveryId}/retries')).toBe('retryDelivery');
    expect(idOf('entries', 'GET /accounts/{id}/entries', true)).toBe('listAccountEntries');
  });

  it('is the plural for a list', () => {
    expect(idOf('list', 'GET /users', true)).toBe('listUsers');
    expect(idOf('list', 'GET /auth/sessions', true)).toBe('listSessions');
  });

  it('is the name that the handler has where that says it all', () => {
    expect(idOf('adjustStock', 'POST /products/{id}/stock-adjustments')).toBe('adjustStock');
    expect(idOf('getTransfer', 'GET /transfers/{id}')).toBe('getTransfer');
  });

  it('keeps whom it is for at the end', () => {
    expect(idOf('listOfUser', 'GET /users/{id}/orders', true)).toBe('listOrdersOfUser');
    expect(idOf('placeForUser', 'POST /users/{id}/orders')).toBe('placeOrderForUser');
  });
});
