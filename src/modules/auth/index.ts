export { RegisterDto, TokensView, toTokens } from './auth.dto.js';
export { AuthModule } from './auth.module.js';
export { AuthService, type Origin, type TokenPair } from './auth.service.js';
