import { Global, Module } from '@nestjs/common';
import { Guesses } from './guesses.js';

/** What services limit by themselves; requests are limited by `http/`. */
@Global()
@Module({ providers: [Guesses], exports: [Guesses] })
export class LimitsModule {}
