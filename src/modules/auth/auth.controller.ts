import { Body, Controller, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Config } from '../../config.js';
import { Created } from '../../http/created.js';
import { Client, type ClientInfo, CurrentUser, Public } from '../../http/decorators.js';
import { Answers, Secured } from '../../http/openapi.js';
import type { Principal } from '../../permissions.js';
import { LoginDto, RefreshDto, RegisterDto, TokensView, toTokens } from './auth.dto.js';
import { AuthService } from './auth.service.js';

@ApiTags('Auth')
@Controller('auth')
export class AuthController {
  constructor(
    private readonly auth: AuthService,
    private readonly config: Config,
  ) {}

  /** Register */
  @Post('register')
  @Public({ ignoresToken: true })
  @Answers(201, TokensView, { fails: ['EMAIL_TAKEN'] })
  async register(@Body() body: RegisterDto, @Client() client: ClientInfo): Promise<Created<TokensView>> {
    const tokens = toTokens(await this.auth.register(body, client), this.config);
    return new Created(`/users/${tokens.user.id}`, tokens);
  }

  /** Log in */
  @Post('login')
  @Public({ ignoresToken: true })
  @Answers(200, TokensView, { fails: ['INVALID_CREDENTIALS'] })
  async login(@Body() body: LoginDto, @Client() client: ClientInfo): Promise<TokensView> {
    return toTokens(await this.auth.login(body.email, body.password, client), this.config);
  }

  /**
   * Refresh
   * @remarks Gives new tokens for a refresh token, which is spent by this
   */
  @Post('refresh')
  @Public({ ignoresToken: true })
  @Answers(200, TokensView, { fails: ['UNAUTHORIZED', 'TOKEN_EXPIRED', 'TOKEN_REVOKED', 'TOKEN_REUSED'] })
  async refresh(@Body() { refreshToken }: RefreshDto): Promise<TokensView> {
    return toTokens(await this.auth.refresh(refreshToken), this.config);
  }

  /**
   * Log out
   * @remarks Ends this session and all of its tokens, at once
   */
  @Post('logout')
  @Secured()
  @Answers(204, null)
  async logout(@CurrentUser() user: Principal): Promise<void> {
    await this.auth.logout(user);
  }
}
