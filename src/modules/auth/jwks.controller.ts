import type { JsonWebKey } from 'node:crypto';
import { Controller, Get, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiResponse, ApiTags } from '@nestjs/swagger';
import { Bare, Public } from '../../http/decorators.js';
import { Keys } from './keys.js';

const JWKS = {
  type: 'object',
  required: ['keys'],
  properties: {
    keys: {
      type: 'array',
      items: {
        type: 'object',
        required: ['kty', 'kid', 'alg', 'use'],
        properties: {
          kty: { type: 'string', enum: ['EC', 'RSA'] },
          kid: { type: 'string' },
          alg: { type: 'string', enum: ['ES256', 'RS256'] },
          use: { type: 'string', enum: ['sig'] },
        },
      },
    },
  },
};

/** What others need to verify our tokens: an address and a form that RFC 8615 and RFC 7517 set. */
@ApiTags('Auth')
@Bare()
@Public({ ignoresToken: true })
@Controller({ path: '.well-known', version: VERSION_NEUTRAL })
export class JwksController {
  constructor(private readonly keys: Keys) {}

  /** Get the public keys that tokens are verified with */
  @Get('jwks.json')
  @ApiResponse({ status: 200, description: 'A JSON Web Key Set; empty when a secret signs', schema: JWKS })
  getPublicKeys(): { keys: JsonWebKey[] } {
    return { keys: this.keys.publicKeys() };
  }
}
