export { RegisterDto, TokensView, toTokens } from './auth.dto.js';
export { AuthModule } from './auth.module.js';
export { AuthService } from './auth.service.js';
export type { Origin, TokenPair } from './sessions.service.js';
