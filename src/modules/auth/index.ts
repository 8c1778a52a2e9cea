export { toTokens, TokensView } from './auth.dto.js';
export { AuthModule } from './auth.module.js';
export { AuthService } from './auth.service.js';
