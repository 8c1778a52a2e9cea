import { Body, Controller, Delete, Get, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Config } from '../../config.js';
import type { Page } from '../../database/paging.js';
import { Created } from '../../http/created.js';
import { ApiId, Client, type ClientInfo, CurrentUser, Id, LimitedBy, Public } from '../../http/decorators.js';
import { Answers } from '../../http/openapi.js';
import { Guesses } from '../../limits/guesses.js';
import type { Principal } from '../../permissions.js';
import { AccountLinks } from './account-links.js';
import {
  ChangePasswordDto,
  ForgotPasswordDto,
  LoginDto,
  RefreshDto,
  RegisterDto,
  ResetPasswordDto,
  SessionsQuery,
  SessionView,
  TokensView,
  toSession,
  toTokens,
  UserTokenDto,
} from './auth.dto.js';
import { AuthService } from './auth.service.js';
import { SessionsService } from './sessions.service.js';

@ApiTags('Auth')
@Controller('auth')
export class AuthController {
  constructor(
    private readonly auth: AuthService,
    private readonly sessions: SessionsService,
    private readonly links: AccountLinks,
    private readonly config: Config,
    private readonly guesses: Guesses,
  ) {}

  /** Register */
  @Post('register')
  @Public({ ignoresToken: true })
  @LimitedBy('register')
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
    const { email, password } = body;
    const pair = await this.guesses.login(
      { email, ip: client.ip },
      () => this.auth.login(email, password, client),
      () => this.auth.hasLoggedInFrom(email, client.ip),
    );
    return toTokens(pair, this.config);
  }

  /**
   * Refresh
   * @remarks Gives new tokens for a refresh token, which is spent by this
   */
  @Post('refresh')
  @Public({ ignoresToken: true })
  @LimitedBy('refresh')
  @Answers(200, TokensView, { fails: ['UNAUTHORIZED', 'TOKEN_EXPIRED', 'TOKEN_REVOKED', 'TOKEN_REUSED'] })
  async refresh(@Body() { refreshToken }: RefreshDto): Promise<TokensView> {
    return toTokens(await this.sessions.refresh(refreshToken), this.config);
  }

  /**
   * Log out
   * @remarks Ends this session and all of its tokens, at once
   */
  @Post('logout')
  @Answers(204, null)
  async logout(@CurrentUser() user: Principal): Promise<void> {
    await this.sessions.logout(user);
  }

  /**
   * List your sessions
   * @remarks Those that are still good
   */
  @Get('sessions')
  @Answers(200, [SessionView])
  async list(@Query() query: SessionsQuery, @CurrentUser() user: Principal): Promise<Page<SessionView>> {
    return (await this.sessions.list(user, query)).map(toSession(user.sessionId));
  }

  /**
   * End one of your sessions
   * @remarks Its access tokens too, at once
   */
  @Delete('sessions/:id')
  @ApiId()
  @Answers(204, null)
  async end(@Id() id: string, @CurrentUser() user: Principal): Promise<void> {
    await this.sessions.end(id, user);
  }

  /**
   * End all of your sessions
   * @remarks The one that asks too
   */
  @Delete('sessions')
  @Answers(204, null)
  async endAllSessions(@CurrentUser() user: Principal): Promise<void> {
    await this.sessions.endAll(user.id);
  }

  /**
   * Ask for a new password
   * @remarks Mails a link, good for an hour, to set one. The answer is the same whether there is such a user or not
   */
  @Post('password/forgot')
  @Public({ ignoresToken: true })
  @LimitedBy('forgot')
  @Answers(202, null)
  async forgotPassword(@Body() { email }: ForgotPasswordDto): Promise<null> {
    await this.links.forgotPassword(email);
    return null;
  }

  /**
   * Set a new password
   * @remarks With the token of a mailed link, which is good once. Ends all sessions
   */
  @Post('password/reset')
  @Public({ ignoresToken: true })
  @Answers(204, null)
  async resetPassword(@Body() { token, password }: ResetPasswordDto): Promise<void> {
    await this.links.resetPassword(token, password);
  }

  /**
   * Change your password
   * @remarks Ends your other sessions
   */
  @Post('password/change')
  @Answers(204, null, { fails: ['INVALID_CREDENTIALS'] })
  async changePassword(@Body() body: ChangePasswordDto, @CurrentUser() user: Principal): Promise<void> {
    await this.guesses.ofUser(user.id, () => this.auth.changePassword(user, body));
  }

  /**
   * Verify your email
   * @remarks With the token of a mailed link, which is good once
   */
  @Post('email/verify')
  @Public({ ignoresToken: true })
  @Answers(204, null)
  async verifyEmail(@Body() { token }: UserTokenDto): Promise<void> {
    await this.links.verifyEmail(token);
  }

  /**
   * Get another link to verify your email
   * @remarks Mails one, unless it is verified already
   */
  @Post('email/resend')
  @Answers(202, null)
  async resendVerification(@CurrentUser() user: Principal): Promise<null> {
    await this.links.resendVerification(user.id);
    return null;
  }
}
