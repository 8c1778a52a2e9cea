export { FirstAdmin } from './first-admin.js';
export { GivenPassword, NewPassword } from './password.rules.js';
export type { User, UserName } from './user.entity.js';
export { toUser, UserView } from './users.dto.js';
export { UsersImport } from './users.import.js';
export { UsersModule } from './users.module.js';
export { UsersService } from './users.service.js';
