// Made from openapi.json by `npm run client`: change the document, not this file.

export interface paths {
    "/.well-known/jwks.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the public keys that tokens are verified with
         * @description Needs no login.
         */
        get: operations["getPublicKeys"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/accounts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List accounts: yours, or every user's for moderators
         * @description Needs a login.
         */
        get: operations["listAccounts"];
        put?: never;
        /**
         * Open an account
         * @description Needs a login.
         */
        post: operations["openAccount"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/accounts/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an account
         * @description Needs a login.
         */
        get: operations["getAccount"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/accounts/{id}/entries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List what went in and out of an account
         * @description Needs a login.
         */
        get: operations["listAccountEntries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/email/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get another link to verify your email
         * @description Mails one, unless it is verified already. Needs a login.
         */
        post: operations["resendVerification"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/email/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Verify your email
         * @description With the token of a mailed link, which is good once. Needs no login.
         */
        post: operations["verifyEmail"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Log in
         * @description Needs no login.
         */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Log out
         * @description Ends this session and all of its tokens, at once. Needs a login.
         */
        post: operations["logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password/change": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Change your password
         * @description Ends your other sessions. Needs a login.
         */
        post: operations["changePassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password/forgot": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ask for a new password
         * @description Mails a link, good for an hour, to set one. The answer is the same whether there is such a user or not. Needs no login.
         */
        post: operations["forgotPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/password/reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Set a new password
         * @description With the token of a mailed link, which is good once. Ends all sessions. Needs no login.
         */
        post: operations["resetPassword"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/refresh": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Refresh
         * @description Gives new tokens for a refresh token, which is spent by this. Needs no login.
         */
        post: operations["refresh"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/register": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Register
         * @description Needs no login.
         */
        post: operations["register"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List your sessions
         * @description Those that are still good. Needs a login.
         */
        get: operations["listSessions"];
        put?: never;
        post?: never;
        /**
         * End all of your sessions
         * @description The one that asks too. Needs a login.
         */
        delete: operations["endAllSessions"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/auth/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * End one of your sessions
         * @description Its access tokens too, at once. Needs a login.
         */
        delete: operations["endSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/checkouts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Order as a guest: registers the user and places the order, both or neither
         * @description Needs no login.
         */
        post: operations["checkOut"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/deposits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Bring in money from outside
         * @description For admins.
         */
        post: operations["deposit"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow what happens: `nextCursor` is always given, ask again with it for what came since
         * @description For admins.
         */
        get: operations["listEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the jobs that are not done
         * @description For admins.
         */
        get: operations["listJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/retries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run a job again, at once and with all its attempts before it
         * @description For admins.
         */
        post: operations["retryJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/ledger/trial-balance": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the trial balance
         * @description The books are right where both totals of every currency are 0. For admins.
         */
        get: operations["getTrialBalance"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List orders
         * @description Yours, or everybody's for moderators. Needs a login.
         */
        get: operations["listOrders"];
        put?: never;
        /**
         * Place an order
         * @description Needs a login.
         */
        post: operations["placeOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get an order
         * @description Needs a login.
         */
        get: operations["getOrder"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change the note or metadata of a pending order
         * @description Needs a login.
         */
        patch: operations["updateOrder"];
        trace?: never;
    };
    "/api/v1/orders/{id}/cancellations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancel an order: puts the stock back, and the money where it was paid
         * @description Needs a login.
         */
        post: operations["cancelOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Note that an order has arrived
         * @description For moderators and admins.
         */
        post: operations["deliverOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the changes of an order's status, the oldest first
         * @description Needs a login.
         */
        get: operations["listOrderHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}/payments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pay an order
         * @description Needs a login.
         */
        post: operations["payOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}/refunds": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give money back: some of it, or all that is left. The stock stays as it is
         * @description For moderators and admins.
         */
        post: operations["refundOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/orders/{id}/shipments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a paid order out
         * @description For moderators and admins.
         */
        post: operations["shipOrder"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/products": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List products
         * @description Needs no login.
         */
        get: operations["listProducts"];
        put?: never;
        /**
         * Create a product
         * @description For moderators and admins.
         */
        post: operations["createProduct"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/products/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a product
         * @description Needs no login.
         */
        get: operations["getProduct"];
        /**
         * Replace a product, apart from its stock
         * @description For moderators and admins.
         */
        put: operations["replaceProduct"];
        post?: never;
        /**
         * Delete a product, or archive it if an order names it
         * @description For moderators and admins.
         */
        delete: operations["deleteProduct"];
        options?: never;
        head?: never;
        /**
         * Change a product
         * @description For moderators and admins.
         */
        patch: operations["updateProduct"];
        trace?: never;
    };
    "/api/v1/products/{id}/stock-adjustments": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Adjust a product's stock
         * @description For moderators and admins.
         */
        post: operations["adjustStock"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/transfers": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send money to another account
         * @description Needs a login.
         */
        post: operations["transfer"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/transfers/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a transfer
         * @description Needs a login.
         */
        get: operations["getTransfer"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List users
         * @description For moderators and admins.
         */
        get: operations["listUsers"];
        put?: never;
        /**
         * Create a user
         * @description For admins.
         */
        post: operations["createUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a user
         * @deprecated
         * @description Needs a login.
         */
        get: operations["getUser"];
        /**
         * Replace a user's email and name
         * @description Needs a login.
         */
        put: operations["replaceUser"];
        post?: never;
        /**
         * Erase a user
         * @description Needs a login.
         */
        delete: operations["deleteUser"];
        options?: never;
        head?: never;
        /**
         * Change a user
         * @description Needs a login.
         */
        patch: operations["updateUser"];
        trace?: never;
    };
    "/api/v1/users/{id}/orders": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List a user's orders
         * @description Needs a login.
         */
        get: operations["listOrdersOfUser"];
        put?: never;
        /**
         * Place an order for a user
         * @description Needs a login.
         */
        post: operations["placeOrderForUser"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/users/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get yourself
         * @description Needs a login.
         */
        get: operations["getMe"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List webhooks
         * @description For admins.
         */
        get: operations["listWebhooks"];
        put?: never;
        /**
         * Register a webhook: the answer shows its secret, once
         * @description For admins.
         */
        post: operations["createWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a webhook
         * @description For admins.
         */
        get: operations["getWebhook"];
        /**
         * Replace a webhook, apart from its secret
         * @description For admins.
         */
        put: operations["replaceWebhook"];
        post?: never;
        /**
         * Delete a webhook, with its deliveries
         * @description For admins.
         */
        delete: operations["deleteWebhook"];
        options?: never;
        head?: never;
        /**
         * Change a webhook, or switch it on or off
         * @description For admins.
         */
        patch: operations["updateWebhook"];
        trace?: never;
    };
    "/api/v1/webhooks/{id}/deliveries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the deliveries of a webhook, the newest first; they are kept for 30 days
         * @description For admins.
         */
        get: operations["listWebhookDeliveries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/deliveries/{deliveryId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a delivery, with what the receiver answered
         * @description For admins.
         */
        get: operations["getWebhookDelivery"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/deliveries/{deliveryId}/retries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a delivery again, at once and with all its attempts before it
         * @description For admins.
         */
        post: operations["retryWebhookDelivery"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/secret-rotations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Make a new secret, which the answer shows once; the old one signs too for 24 hours
         * @description For admins.
         */
        post: operations["rotateWebhookSecret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/webhooks/{id}/tests": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a `ping` to try it out
         * @description For admins.
         */
        post: operations["testWebhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v2/users/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get a user and a summary of their orders
         * @description Needs a login.
         */
        get: operations["getUserWithOrderSummary"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tell whether everything that Stoa needs is there
         * @description Needs no login.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tell whether the process can answer at all, whatever else is going on
         * @description Needs no login.
         */
        get: operations["getLive"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health/ready": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Tell whether requests should be sent here now
         * @description Needs no login.
         */
        get: operations["getReady"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        AccountView: {
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 48001
             */
            balance: number;
            /** Format: date-time */
            createdAt: string;
            currency: string;
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            userId: string | null;
        };
        AdjustStockDto: {
            /**
             * Format: int32
             * @description How many came, or, below zero, went
             * @example -3
             */
            delta: number;
            /** @example Broken in the warehouse */
            reason: string;
        };
        CancelOrderDto: {
            /** @example Ordered twice */
            reason?: string;
        };
        ChangePasswordDto: {
            /**
             * Format: password
             * @example Correct-Horse-7
             */
            currentPassword: string;
            /**
             * Format: password
             * @example Correct-Horse-8
             */
            newPassword: string;
        };
        CheckoutDto: {
            order: components["schemas"]["PlaceOrderDto"];
            /** @description Who orders, and is registered by it */
            user: components["schemas"]["RegisterDto"];
        };
        CheckoutView: {
            /** @description Null where the answer is given again */
            accessToken: string | null;
            /**
             * Format: int64
             * @description Seconds until the access token expires
             */
            expiresIn: number;
            order: components["schemas"]["OrderView"];
            /**
             * Format: int64
             * @description Seconds until the refresh token expires
             */
            refreshExpiresIn: number;
            /** @description Null where the answer is given again */
            refreshToken: string | null;
            /** @enum {string} */
            tokenType: "Bearer";
            user: components["schemas"]["UserView"];
        };
        CreateProductDto: {
            /** @example EUR */
            currency: string;
            /**
             * @description Empty where it is left out
             * @example A solid oak desk, 160 by 80 cm.
             */
            description?: string;
            /** @example Oak desk */
            name: string;
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 44900
             */
            price: number;
            /** @example DESK-OAK-160 */
            sku: string;
            /**
             * @description A draft where it is left out. Only active products are seen and ordered
             * @enum {string}
             */
            status?: "draft" | "active" | "archived";
            /**
             * Format: int32
             * @description How many there are to begin with: none where it is left out
             * @example 25
             */
            stock?: number;
        };
        CreateUserDto: {
            /**
             * Format: email
             * @example ann@example.com
             */
            email: string;
            /** @example Ann Archer */
            name: string;
            /**
             * Format: password
             * @example Correct-Horse-7
             */
            password: string;
            /** @enum {string} */
            role?: "user" | "moderator" | "admin";
        };
        CreateWebhookDto: {
            /**
             * @description Empty where it is left out
             * @example The warehouse
             */
            description?: string;
            /** @description It is, where this is left out */
            enabled?: boolean;
            /**
             * @description What to be told of; `*` for everything
             * @example [
             *       "order.created",
             *       "order.paid"
             *     ]
             */
            eventTypes: ("user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created" | "*")[];
            /**
             * @description http or https, and nothing that leads into a private network
             * @example https://shop.example/stoa
             */
            url: string;
        };
        /** @description Where to go on from, when no `page` was asked for */
        CursorPagination: {
            /** @description Whether there is a next page now */
            hasNext: boolean;
            /**
             * Format: int32
             * @description How many entries were asked for
             */
            limit: number;
            /** @description Where the next page starts */
            nextCursor: string | null;
        };
        CustomerView: {
            /** Format: date-time */
            createdAt: string;
            email: string;
            emailVerified: boolean;
            /** Format: uuid */
            id: string;
            name: string;
            orderSummary: components["schemas"]["OrderSummaryView"];
            /** @enum {string} */
            role: "admin" | "user" | "moderator";
            /** Format: date-time */
            updatedAt: string;
            /** Format: int64 */
            version: number;
        };
        DeliverOrderDto: Record<string, never>;
        DeliveryDetailView: {
            /** Format: int32 */
            attempts: number;
            /** Format: date-time */
            createdAt: string;
            /**
             * Format: uuid
             * @description The `webhook-id` of every attempt
             */
            eventId: string;
            /** @enum {string} */
            eventType: "user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created" | "ping";
            /** Format: uuid */
            id: string;
            /** @description Why the last attempt failed */
            lastError: string | null;
            /** @description How the receiver's last answer began, up to 1 KiB */
            lastResponse: string | null;
            /**
             * Format: int32
             * @description What the receiver answered; null where it did not
             */
            lastStatus: number | null;
            /**
             * Format: date-time
             * @description Null where there is none to come
             */
            nextAttemptAt: string | null;
            /** @enum {string} */
            state: "pending" | "delivered" | "dead";
        };
        DeliveryView: {
            /** Format: int32 */
            attempts: number;
            /** Format: date-time */
            createdAt: string;
            /**
             * Format: uuid
             * @description The `webhook-id` of every attempt
             */
            eventId: string;
            /** @enum {string} */
            eventType: "user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created" | "ping";
            /** Format: uuid */
            id: string;
            /** @description Why the last attempt failed */
            lastError: string | null;
            /**
             * Format: int32
             * @description What the receiver answered; null where it did not
             */
            lastStatus: number | null;
            /**
             * Format: date-time
             * @description Null where there is none to come
             */
            nextAttemptAt: string | null;
            /** @enum {string} */
            state: "pending" | "delivered" | "dead";
        };
        DepositDto: {
            /** Format: uuid */
            accountId: string;
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 50000
             */
            amount: number;
            /** @example Opening balance */
            note?: string;
        };
        EntryView: {
            /**
             * Format: int64
             * @description In the currency's minor unit; negative for what went out
             * @example -1999
             */
            amount: number;
            /**
             * Format: int64
             * @example 48001
             */
            balanceAfter: number;
            /** Format: date-time */
            createdAt: string;
            /** Format: uuid */
            id: string;
            /** @example transfer */
            kind: string;
            /** Format: uuid */
            transferId: string;
        };
        /** @description Every failure */
        ErrorAnswer: {
            error: {
                /**
                 * @description What went wrong, for programs
                 * @enum {string}
                 */
                code: "MALFORMED_REQUEST" | "INVALID_CURSOR" | "INVALID_IDEMPOTENCY_KEY" | "UNAUTHORIZED" | "TOKEN_EXPIRED" | "TOKEN_REVOKED" | "TOKEN_REUSED" | "INVALID_CREDENTIALS" | "FORBIDDEN" | "NOT_FOUND" | "METHOD_NOT_ALLOWED" | "CONFLICT" | "EMAIL_TAKEN" | "INSUFFICIENT_STOCK" | "INVALID_TRANSITION" | "IDEMPOTENCY_IN_PROGRESS" | "PRECONDITION_FAILED" | "PAYLOAD_TOO_LARGE" | "UNSUPPORTED_MEDIA_TYPE" | "VALIDATION_ERROR" | "INSUFFICIENT_FUNDS" | "CURRENCY_MISMATCH" | "IDEMPOTENCY_KEY_REUSED" | "RATE_LIMITED" | "INTERNAL_ERROR" | "SERVICE_UNAVAILABLE";
                /** @description What is wrong with each field, or facts about the failure */
                details?: ({
                    /**
                     * @description The path of a field
                     * @example items[0].quantity
                     */
                    field?: string;
                    message?: string;
                } & {
                    [key: string]: unknown;
                })[];
                /** @description What went wrong, for people */
                message: string;
            };
            meta: components["schemas"]["Meta"];
            /** @constant */
            success: false;
        };
        EventView: {
            /** Format: date-time */
            createdAt: string;
            /** @description The resource as the API showed it then */
            data: {
                [key: string]: unknown;
            };
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            resourceId: string;
            /**
             * Format: int64
             * @description Rises with every event of the resource, and no two of them share it
             */
            sequence: number;
            /** @enum {string} */
            type: "user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created";
        };
        ForgotPasswordDto: {
            /**
             * Format: email
             * @example ann@example.com
             */
            email: string;
        };
        JobView: {
            /**
             * Format: int64
             * @example 2
             */
            attempts: number;
            /** Format: date-time */
            createdAt: string;
            /**
             * @description Opaque
             * @example 4711
             */
            id: string;
            /**
             * @description Why the last attempt failed; nothing of what the job is about
             * @example connect ECONNREFUSED
             */
            lastError: string | null;
            /**
             * Format: int64
             * @example 10
             */
            maxAttempts: number;
            /**
             * @description The name of the task where the job is in no queue of its own
             * @example mail.send
             */
            queue: string;
            /**
             * Format: date-time
             * @description When it is, or was, due: where it failed, the next attempt
             */
            runAt: string;
            /**
             * @example failed
             * @enum {string}
             */
            state: "scheduled" | "ready" | "running" | "failed" | "dead";
        };
        ListedOrderView: {
            /** Format: date-time */
            createdAt: string;
            currency: string;
            /**
             * Format: date-time
             * @description When it is given up unless it is paid; null once it is no longer pending
             */
            expiresAt: string | null;
            /** Format: uuid */
            id: string;
            items: components["schemas"]["OrderItemView"][];
            /**
             * @example {
             *       "campaign": "spring"
             *     }
             */
            metadata: {
                [key: string]: string;
            };
            /** @example Please ring twice */
            note: string | null;
            /**
             * @description For people to read out
             * @example 7K4MW-2Q9XT
             */
            number: string;
            /** @enum {string} */
            status: "pending" | "paid" | "shipped" | "delivered" | "cancelled" | "refunded";
            /**
             * Format: int64
             * @example 89800
             */
            total: number;
            /** Format: date-time */
            updatedAt: string;
            /** @description Only with `include=user` */
            user?: components["schemas"]["OrderUserView"];
            /** Format: uuid */
            userId: string;
            /** Format: int64 */
            version: number;
        };
        ListMeta: {
            pagination: components["schemas"]["CursorPagination"] | components["schemas"]["PagePagination"];
            /** @description Names the request in our logs */
            requestId: string;
            /**
             * Format: date-time
             * @description When it was answered
             */
            timestamp: string;
        };
        LoginDto: {
            /**
             * Format: email
             * @example ann@example.com
             */
            email: string;
            /**
             * Format: password
             * @example Correct-Horse-7
             */
            password: string;
        };
        Meta: {
            /** @description Names the request in our logs */
            requestId: string;
            /**
             * Format: date-time
             * @description When it was answered
             */
            timestamp: string;
        };
        OpenAccountDto: {
            /** @example EUR */
            currency: string;
        };
        OrderItemDto: {
            /** Format: uuid */
            productId: string;
            /**
             * Format: int32
             * @example 1
             */
            quantity: number;
        };
        OrderItemView: {
            /** Format: uuid */
            id: string;
            /** @example Oak desk */
            name: string;
            /** Format: uuid */
            productId: string;
            /**
             * Format: int32
             * @example 2
             */
            quantity: number;
            /** @example DESK-OAK-160 */
            sku: string;
            /**
             * Format: int64
             * @example 89800
             */
            total: number;
            /**
             * Format: int64
             * @example 44900
             */
            unitPrice: number;
        };
        OrderSummaryView: {
            /**
             * Format: int64
             * @description All orders that were ever placed, whatever became of them
             * @example 3
             */
            count: number;
            /**
             * Format: date-time
             * @description When the last of them was placed
             */
            lastOrderAt: string | null;
            /** @description What was paid and not refunded, by currency; without currencies that nothing is left of */
            spent: components["schemas"]["SpentView"][];
        };
        OrderUserView: {
            /** @description Null once the user has been erased */
            email: string | null;
            /** Format: uuid */
            id: string;
            name: string;
        };
        OrderView: {
            /** Format: date-time */
            createdAt: string;
            currency: string;
            /**
             * Format: date-time
             * @description When it is given up unless it is paid; null once it is no longer pending
             */
            expiresAt: string | null;
            /** Format: uuid */
            id: string;
            items: components["schemas"]["OrderItemView"][];
            /**
             * @example {
             *       "campaign": "spring"
             *     }
             */
            metadata: {
                [key: string]: string;
            };
            /** @example Please ring twice */
            note: string | null;
            /**
             * @description For people to read out
             * @example 7K4MW-2Q9XT
             */
            number: string;
            /** @enum {string} */
            status: "pending" | "paid" | "shipped" | "delivered" | "cancelled" | "refunded";
            /**
             * Format: int64
             * @example 89800
             */
            total: number;
            /** Format: date-time */
            updatedAt: string;
            /** Format: uuid */
            userId: string;
            /** Format: int64 */
            version: number;
        };
        /** @description Where in all of the list this is, when a `page` was asked for */
        PagePagination: {
            /** @description Whether there is a page after this one */
            hasNext: boolean;
            /** @description Whether there is a page before this one */
            hasPrev: boolean;
            /**
             * Format: int32
             * @description How many entries were asked for
             */
            limit: number;
            /**
             * Format: int32
             * @description The number of this page
             */
            page: number;
            /**
             * Format: int64
             * @description How many entries there are
             */
            total: number;
            /**
             * Format: int64
             * @description How many pages there are
             */
            totalPages: number;
        };
        PaymentView: {
            /**
             * Format: int64
             * @description In the currency's minor unit; negative for what was paid back
             * @example 89800
             */
            amount: number;
            /** Format: date-time */
            createdAt: string;
            currency: string;
            /** Format: uuid */
            id: string;
            /** Format: uuid */
            orderId: string;
            /** Format: uuid */
            transferId: string;
        };
        PayOrderDto: {
            /**
             * Format: uuid
             * @description An account of yours in the order's currency
             */
            accountId: string;
        };
        PlaceOrderDto: {
            /** @description Each product once, all of one currency */
            items: components["schemas"]["OrderItemDto"][];
            /**
             * @description Not by names that every object of JavaScript has, such as `constructor`
             * @example {
             *       "campaign": "spring"
             *     }
             */
            metadata?: {
                [key: string]: string;
            };
            /** @example Please ring twice */
            note?: string;
        };
        /** @description Every failure as RFC 9457 has it, for clients that send `Accept: application/problem+json` */
        Problem: {
            /**
             * @description What went wrong, for programs
             * @enum {string}
             */
            code: "MALFORMED_REQUEST" | "INVALID_CURSOR" | "INVALID_IDEMPOTENCY_KEY" | "UNAUTHORIZED" | "TOKEN_EXPIRED" | "TOKEN_REVOKED" | "TOKEN_REUSED" | "INVALID_CREDENTIALS" | "FORBIDDEN" | "NOT_FOUND" | "METHOD_NOT_ALLOWED" | "CONFLICT" | "EMAIL_TAKEN" | "INSUFFICIENT_STOCK" | "INVALID_TRANSITION" | "IDEMPOTENCY_IN_PROGRESS" | "PRECONDITION_FAILED" | "PAYLOAD_TOO_LARGE" | "UNSUPPORTED_MEDIA_TYPE" | "VALIDATION_ERROR" | "INSUFFICIENT_FUNDS" | "CURRENCY_MISMATCH" | "IDEMPOTENCY_KEY_REUSED" | "RATE_LIMITED" | "INTERNAL_ERROR" | "SERVICE_UNAVAILABLE";
            /** @description What went wrong, for people */
            detail: string;
            /** @description What is wrong with each field, or facts about the failure */
            details?: ({
                /**
                 * @description The path of a field
                 * @example items[0].quantity
                 */
                field?: string;
                message?: string;
            } & {
                [key: string]: unknown;
            })[];
            /**
             * Format: uri-reference
             * @description The path of the request
             */
            instance: string;
            /** @description Names the request in our logs */
            requestId: string;
            /**
             * Format: int32
             * @description The status
             */
            status: number;
            /** @description The status' name */
            title: string;
            /** Format: uri-reference */
            type: string;
        };
        ProductView: {
            /** Format: date-time */
            createdAt: string;
            /** @example EUR */
            currency: string;
            /** @example A solid oak desk, 160 by 80 cm. */
            description: string;
            /** Format: uuid */
            id: string;
            /** @example Oak desk */
            name: string;
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 44900
             */
            price: number;
            /** @example DESK-OAK-160 */
            sku: string;
            /** @enum {string} */
            status: "draft" | "active" | "archived";
            /**
             * Format: int32
             * @example 25
             */
            stock: number;
            /** Format: date-time */
            updatedAt: string;
            /** Format: int64 */
            version: number;
        };
        RefreshDto: {
            refreshToken: string;
        };
        RefundOrderDto: {
            /**
             * Format: int64
             * @description In the currency's minor unit; left out, all that is left
             */
            amount?: number;
            /** @example Arrived broken */
            reason?: string;
        };
        RegisterDto: {
            /**
             * Format: email
             * @example ann@example.com
             */
            email: string;
            /** @example Ann Archer */
            name: string;
            /**
             * Format: password
             * @example Correct-Horse-7
             */
            password: string;
        };
        ReplaceProductDto: {
            /** @example EUR */
            currency: string;
            /**
             * @description Empty where it is left out
             * @example A solid oak desk, 160 by 80 cm.
             */
            description?: string;
            /** @example Oak desk */
            name: string;
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 44900
             */
            price: number;
            /** @example DESK-OAK-160 */
            sku: string;
            /**
             * @description A draft where it is left out. Only active products are seen and ordered
             * @enum {string}
             */
            status?: "draft" | "active" | "archived";
        };
        ReplaceUserDto: {
            /**
             * Format: password
             * @description Needed to change one's own email
             * @example Correct-Horse-7
             */
            currentPassword?: string;
            /**
             * Format: email
             * @example ann@example.com
             */
            email: string;
            /** @example Ann Archer */
            name: string;
            /** @enum {string} */
            role?: "user" | "moderator" | "admin";
        };
        ReplaceWebhookDto: {
            /**
             * @description Empty where it is left out
             * @example The warehouse
             */
            description?: string;
            /** @description It is, where this is left out */
            enabled?: boolean;
            /**
             * @description What to be told of; `*` for everything
             * @example [
             *       "order.created",
             *       "order.paid"
             *     ]
             */
            eventTypes: ("user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created" | "*")[];
            /**
             * @description http or https, and nothing that leads into a private network
             * @example https://shop.example/stoa
             */
            url: string;
        };
        ResetPasswordDto: {
            /**
             * Format: password
             * @example Correct-Horse-8
             */
            password: string;
            /** @example kX0vB3nUe9m1tqYw5cR7sJd2fHg4aLzP6oNiQbVxEyM */
            token: string;
        };
        SessionView: {
            /** Format: date-time */
            createdAt: string;
            /** @description Whether it is the one that asks */
            current: boolean;
            /** Format: date-time */
            expiresAt: string;
            /** Format: uuid */
            id: string;
            ip: string | null;
            /**
             * Format: date-time
             * @description When it began or was refreshed last
             */
            lastUsedAt: string;
            userAgent: string | null;
        };
        ShipOrderDto: {
            /** @example DHL */
            carrier?: string;
            /** @example 00340434161094042557 */
            trackingNumber?: string;
        };
        SpentView: {
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 44900
             */
            amount: number;
            /** @example EUR */
            currency: string;
        };
        StatusChangeView: {
            /** Format: date-time */
            at: string;
            /**
             * Format: uuid
             * @description Null where nobody had to do it
             */
            by: string | null;
            /**
             * @description Null for the first
             * @enum {string|null}
             */
            from: "pending" | "paid" | "shipped" | "delivered" | "cancelled" | "refunded" | null;
            reason: string | null;
            /** @enum {string} */
            to: "pending" | "paid" | "shipped" | "delivered" | "cancelled" | "refunded";
        };
        TokensView: {
            accessToken: string;
            /**
             * Format: int64
             * @description Seconds until the access token expires
             */
            expiresIn: number;
            /**
             * Format: int64
             * @description Seconds until the refresh token expires
             */
            refreshExpiresIn: number;
            refreshToken: string;
            /** @enum {string} */
            tokenType: "Bearer";
            user: components["schemas"]["UserView"];
        };
        TransferDto: {
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 1999
             */
            amount: number;
            /**
             * Format: uuid
             * @description An account of yours
             */
            fromAccountId: string;
            /** @example Rent */
            note?: string;
            /** Format: uuid */
            toAccountId: string;
        };
        TransferView: {
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 1999
             */
            amount: number;
            /** Format: date-time */
            createdAt: string;
            currency: string;
            /** Format: uuid */
            fromAccountId: string;
            /** Format: uuid */
            id: string;
            /** @example transfer */
            kind: string;
            /** @example Rent */
            note: string | null;
            /** Format: uuid */
            toAccountId: string;
        };
        TrialBalanceView: {
            /**
             * Format: int64
             * @example 12
             */
            accounts: number;
            /**
             * Format: int64
             * @description 0, or the books are wrong
             * @example 0
             */
            balanceTotal: number;
            currency: string;
            /**
             * Format: int64
             * @example 34
             */
            entries: number;
            /**
             * Format: int64
             * @description 0, or the books are wrong
             * @example 0
             */
            entriesTotal: number;
        };
        UpdateOrderDto: {
            /**
             * @description Not by names that every object of JavaScript has, such as `constructor`
             * @example {
             *       "campaign": "spring"
             *     }
             */
            metadata?: {
                [key: string]: string;
            };
            /** @example Leave it with the neighbours */
            note?: string;
        };
        UpdateProductDto: {
            /** @example EUR */
            currency?: string;
            /** @example A solid oak desk, 160 by 80 cm. */
            description?: string;
            /** @example Oak desk */
            name?: string;
            /**
             * Format: int64
             * @description In the currency's minor unit
             * @example 44900
             */
            price?: number;
            /** @example DESK-OAK-160 */
            sku?: string;
            /**
             * @description Only active products are seen and ordered
             * @enum {string}
             */
            status?: "draft" | "active" | "archived";
        };
        UpdateUserDto: {
            /**
             * Format: password
             * @description Needed to change one's own email
             * @example Correct-Horse-7
             */
            currentPassword?: string;
            /**
             * Format: email
             * @example ann@example.com
             */
            email?: string;
            /** @example Ann Archer */
            name?: string;
            /**
             * @description Only admins may change it
             * @enum {string}
             */
            role?: "user" | "moderator" | "admin";
        };
        UpdateWebhookDto: {
            /** @example The warehouse */
            description?: string;
            enabled?: boolean;
            /**
             * @example [
             *       "order.created",
             *       "order.paid"
             *     ]
             */
            eventTypes?: ("user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created" | "*")[];
            /** @example https://shop.example/stoa */
            url?: string;
        };
        UserTokenDto: {
            /** @example kX0vB3nUe9m1tqYw5cR7sJd2fHg4aLzP6oNiQbVxEyM */
            token: string;
        };
        UserView: {
            /** Format: date-time */
            createdAt: string;
            email: string;
            emailVerified: boolean;
            /** Format: uuid */
            id: string;
            name: string;
            /** @enum {string} */
            role: "admin" | "user" | "moderator";
            /** Format: date-time */
            updatedAt: string;
            /** Format: int64 */
            version: number;
        };
        WebhookView: {
            /** Format: date-time */
            createdAt: string;
            description: string;
            /** @description One that is gone (410), or has failed for days, is switched off by itself */
            enabled: boolean;
            eventTypes: ("user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created" | "*")[];
            /** Format: uuid */
            id: string;
            /** Format: date-time */
            updatedAt: string;
            /** @example https://shop.example/stoa */
            url: string;
            /** Format: int64 */
            version: number;
        };
        WebhookWithSecretView: {
            /** Format: date-time */
            createdAt: string;
            description: string;
            /** @description One that is gone (410), or has failed for days, is switched off by itself */
            enabled: boolean;
            eventTypes: ("user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created" | "*")[];
            /** Format: uuid */
            id: string;
            /**
             * @description Signs what is sent. Shown this once: null where this answer is given again for the same `Idempotency-Key`
             * @example whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=
             */
            secret: string | null;
            /** Format: date-time */
            updatedAt: string;
            /** @example https://shop.example/stoa */
            url: string;
            /** Format: int64 */
            version: number;
        };
    };
    responses: {
        /** @description The two sides are not of one currency; or: The request is well-formed, but not acceptable: `details` names each field that is at fault by its path; or: The `Idempotency-Key` was used before, for another request */
        CurrencyMismatchOrValidationErrorOrIdempotencyKeyReused: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Somebody else has this email */
        EmailTaken: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description You are known, but not allowed to do this */
        Forbidden: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The first request with this `Idempotency-Key` is still running: try again */
        IdempotencyInProgress: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is not that much money in the account; or: The two sides are not of one currency; or: The request is well-formed, but not acceptable: `details` names each field that is at fault by its path; or: The `Idempotency-Key` was used before, for another request */
        InsufficientFundsOrCurrencyMismatchOrValidationErrorOrIdempotencyKeyReused: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There are not that many left: `details` names what there is; or: The first request with this `Idempotency-Key` is still running: try again */
        InsufficientStockOrIdempotencyInProgress: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description A defect on our side */
        InternalError: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The email or the password is wrong */
        InvalidCredentials: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The email or the password is wrong; or: There is no token, or not one of ours; or: The access token is past its time: refresh it; or: The session of the token has ended, or its rights have changed: refresh it, or log in again */
        InvalidCredentialsOrUnauthorizedOrTokenExpiredOrTokenRevoked: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The status does not allow this: `details` says what it allows; or: The first request with this `Idempotency-Key` is still running: try again */
        InvalidTransitionOrIdempotencyInProgress: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request can not be parsed: bad JSON, or no body where one is due */
        MalformedRequest: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request can not be parsed: bad JSON, or no body where one is due; or: The cursor was made for another list, sort, filter or caller, or not by this server */
        MalformedRequestOrInvalidCursor: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request can not be parsed: bad JSON, or no body where one is due; or: The `Idempotency-Key` is not 1 to 255 visible ASCII characters */
        MalformedRequestOrInvalidIdempotencyKey: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The path takes other methods: see `Allow` */
        MethodNotAllowed: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                Allow: components["headers"]["Allow"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no such thing, or no such route */
        NotFound: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is over 100 KiB */
        PayloadTooLarge: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The resource has changed since the version that `If-Match` names: read it again */
        PreconditionFailed: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There were too many requests: wait for `Retry-After` */
        RateLimited: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description Not now, try again: the database is away or busy, or the server is shutting down */
        ServiceUnavailable: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "Retry-After": components["headers"]["Retry-After"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no token, or not one of ours; or: The access token is past its time: refresh it; or: The session of the token has ended, or its rights have changed: refresh it, or log in again */
        UnauthorizedOrTokenExpiredOrTokenRevoked: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description There is no token, or not one of ours; or: The access token is past its time: refresh it; or: The session of the token has ended, or its rights have changed: refresh it, or log in again; or: The refresh token was spent before: its whole session has been ended */
        UnauthorizedOrTokenExpiredOrTokenRevokedOrTokenReused: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The body is not `application/json` in UTF-8 */
        UnsupportedMediaType: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is well-formed, but not acceptable: `details` names each field that is at fault by its path */
        ValidationError: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request is well-formed, but not acceptable: `details` names each field that is at fault by its path; or: The `Idempotency-Key` was used before, for another request */
        ValidationErrorOrIdempotencyKeyReused: {
            headers: {
                "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                RateLimit: components["headers"]["RateLimit"];
                "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                "X-Request-Id": components["headers"]["X-Request-Id"];
                [name: string]: unknown;
            };
            content: {
                "application/json": components["schemas"]["ErrorAnswer"];
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: {
        /** @description Where the last answer ended: its `nextCursor` */
        Cursor: string;
        /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
        IdempotencyKey: string;
        /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
        IfMatch: string;
        /** @description The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one */
        IfNoneMatch: string;
        /** @description How many entries to answer with */
        Limit: number;
        /** @description A page by its number, with totals; not together with `cursor` */
        Page: number;
        /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
        RequestId: string;
        SortOrder: "asc" | "desc";
    };
    requestBodies: never;
    headers: {
        /**
         * @description The origin of the page that asks, where the operator has allowed it
         * @example https://shop.example
         */
        "Access-Control-Allow-Origin": string;
        /**
         * @description The methods that the path takes
         * @example GET, HEAD, POST
         */
        Allow: string;
        /**
         * @description Who may keep the answer, and for how long. Together with `Vary: Authorization, Accept`
         * @example private, no-cache
         */
        "Cache-Control": string;
        /**
         * @description Since when the route has a successor, as seconds since 1970 (RFC 9745)
         * @example @1767225600
         */
        Deprecation: string;
        /**
         * @description The version of the resource, for `If-None-Match` and `If-Match`
         * @example "3"
         */
        ETag: string;
        /**
         * @description The answer was given before, to the first request with this key
         * @example true
         */
        "Idempotency-Replayed": "true";
        /**
         * @description The successor of this route
         * @example </api/v2/users/me>; rel="successor-version"
         */
        Link: string;
        /**
         * @description The new resource's URL, or its parent's where it has none of its own
         * @example /api/v1/orders/019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7
         */
        Location: string;
        /**
         * @description What is left of the limit, by the IETF's draft
         * @example "user";r=997;t=900
         */
        RateLimit: string;
        /**
         * @description How many requests the window has room for
         * @example 1000
         */
        "RateLimit-Limit": number;
        /**
         * @description The limit and its window in seconds, by the IETF's draft
         * @example "user";q=1000;w=900
         */
        "RateLimit-Policy": string;
        /**
         * @description How many more requests would be taken now
         * @example 997
         */
        "RateLimit-Remaining": number;
        /**
         * @description Seconds until all of the window is free again
         * @example 900
         */
        "RateLimit-Reset": number;
        /**
         * @description Seconds to wait before the next try
         * @example 30
         */
        "Retry-After": number;
        /**
         * @description How to log in
         * @example Bearer
         */
        "WWW-Authenticate": "Bearer";
        /**
         * @description Names the request in our logs
         * @example checkout-7f3a91
         */
        "X-Request-Id": string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getPublicKeys: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A JSON Web Key Set; empty when a secret signs */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "keys": [
                     *         {
                     *           "kty": "EC",
                     *           "kid": "kid",
                     *           "alg": "ES256",
                     *           "use": "sig"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": {
                        keys: {
                            /** @enum {string} */
                            alg: "ES256" | "RS256";
                            kid: string;
                            /** @enum {string} */
                            kty: "EC" | "RSA";
                            /** @enum {string} */
                            use: "sig";
                        }[];
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listAccounts: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt";
                sortOrder?: components["parameters"]["SortOrder"];
                /** @description For moderators: whose accounts */
                userId?: string;
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "currency": "EUR",
                     *           "balance": 48001,
                     *           "createdAt": "2026-01-31T09:30:00.000Z"
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["AccountView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    openAccount: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "currency": "EUR"
                 *     }
                 */
                "application/json": components["schemas"]["OpenAccountDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "currency": "EUR",
                     *         "balance": 48001,
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["AccountView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description You have one of this currency; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getAccount: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "currency": "EUR",
                     *         "balance": 48001,
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["AccountView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listAccountEntries: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt";
                sortOrder?: components["parameters"]["SortOrder"];
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "transferId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "amount": -1999,
                     *           "balanceAfter": 48001,
                     *           "kind": "transfer",
                     *           "createdAt": "2026-01-31T09:30:00.000Z"
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["EntryView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    resendVerification: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted for later */
            202: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": null,
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: null;
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    verifyEmail: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "kX0vB3nUe9m1tqYw5cR7sJd2fHg4aLzP6oNiQbVxEyM"
                 *     }
                 */
                "application/json": components["schemas"]["UserTokenDto"];
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ann@example.com",
                 *       "password": "Correct-Horse-7"
                 *     }
                 */
                "application/json": components["schemas"]["LoginDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "accessToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl",
                     *         "refreshToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
                     *         "tokenType": "Bearer",
                     *         "expiresIn": 900,
                     *         "refreshExpiresIn": 604800,
                     *         "user": {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "email": "ann@example.com",
                     *           "name": "Ann Archer",
                     *           "role": "admin",
                     *           "emailVerified": true,
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         }
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["TokensView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["InvalidCredentials"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    changePassword: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "currentPassword": "Correct-Horse-7",
                 *       "newPassword": "Correct-Horse-8"
                 *     }
                 */
                "application/json": components["schemas"]["ChangePasswordDto"];
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["InvalidCredentialsOrUnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    forgotPassword: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ann@example.com"
                 *     }
                 */
                "application/json": components["schemas"]["ForgotPasswordDto"];
            };
        };
        responses: {
            /** @description Accepted for later */
            202: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": null,
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: null;
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    resetPassword: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "token": "kX0vB3nUe9m1tqYw5cR7sJd2fHg4aLzP6oNiQbVxEyM",
                 *       "password": "Correct-Horse-8"
                 *     }
                 */
                "application/json": components["schemas"]["ResetPasswordDto"];
            };
        };
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    refresh: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "refreshToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl"
                 *     }
                 */
                "application/json": components["schemas"]["RefreshDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "accessToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl",
                     *         "refreshToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
                     *         "tokenType": "Bearer",
                     *         "expiresIn": 900,
                     *         "refreshExpiresIn": 604800,
                     *         "user": {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "email": "ann@example.com",
                     *           "name": "Ann Archer",
                     *           "role": "admin",
                     *           "emailVerified": true,
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         }
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["TokensView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevokedOrTokenReused"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    register: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ann@example.com",
                 *       "name": "Ann Archer",
                 *       "password": "Correct-Horse-7"
                 *     }
                 */
                "application/json": components["schemas"]["RegisterDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "accessToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl",
                     *         "refreshToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
                     *         "tokenType": "Bearer",
                     *         "expiresIn": 900,
                     *         "refreshExpiresIn": 604800,
                     *         "user": {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "email": "ann@example.com",
                     *           "name": "Ann Archer",
                     *           "role": "admin",
                     *           "emailVerified": true,
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         }
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["TokensView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["EmailTaken"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listSessions: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt";
                sortOrder?: components["parameters"]["SortOrder"];
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "lastUsedAt": "2026-01-31T09:30:00.000Z",
                     *           "expiresAt": "2026-01-31T09:30:00.000Z",
                     *           "ip": "203.0.113.7",
                     *           "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0",
                     *           "current": true
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["SessionView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    endAllSessions: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    endSession: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    checkOut: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "user": {
                 *         "email": "ann@example.com",
                 *         "name": "Ann Archer",
                 *         "password": "Correct-Horse-7"
                 *       },
                 *       "order": {
                 *         "items": [
                 *           {
                 *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                 *             "quantity": 1
                 *           }
                 *         ],
                 *         "note": "Please ring twice",
                 *         "metadata": {
                 *           "campaign": "spring"
                 *         }
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["CheckoutDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "tokenType": "Bearer",
                     *         "expiresIn": 900,
                     *         "refreshExpiresIn": 604800,
                     *         "user": {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "email": "ann@example.com",
                     *           "name": "Ann Archer",
                     *           "role": "admin",
                     *           "emailVerified": true,
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         },
                     *         "accessToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2lnbmF0dXJl",
                     *         "refreshToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl",
                     *         "order": {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "number": "7K4MW-2Q9XT",
                     *           "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "status": "pending",
                     *           "currency": "EUR",
                     *           "total": 89800,
                     *           "items": [
                     *             {
                     *               "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *               "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *               "sku": "DESK-OAK-160",
                     *               "name": "Oak desk",
                     *               "quantity": 2,
                     *               "unitPrice": 44900,
                     *               "total": 89800
                     *             }
                     *           ],
                     *           "note": "Please ring twice",
                     *           "metadata": {
                     *             "campaign": "spring"
                     *           },
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "expiresAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         }
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["CheckoutView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The user has been erased since; or: Somebody else has this email; or: There are not that many left: `details` names what there is; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["CurrencyMismatchOrValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    deposit: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "accountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                 *       "amount": 50000,
                 *       "note": "Opening balance"
                 *     }
                 */
                "application/json": components["schemas"]["DepositDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "kind": "transfer",
                     *         "fromAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "toAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "amount": 1999,
                     *         "currency": "EUR",
                     *         "note": "Rent",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["TransferView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listEvents: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                /** @description The order in which it was written; the oldest first unless `sortOrder` says otherwise */
                sortBy?: "createdAt";
                sortOrder?: components["parameters"]["SortOrder"];
                type?: "user.created" | "user.updated" | "user.deleted" | "session.reuse_detected" | "product.created" | "product.updated" | "product.deleted" | "product.stock_adjusted" | "order.created" | "order.updated" | "order.paid" | "order.cancelled" | "order.shipped" | "order.delivered" | "order.refunded" | "transfer.created";
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "type": "user.created",
                     *           "resourceId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "sequence": 1,
                     *           "data": {},
                     *           "createdAt": "2026-01-31T09:30:00.000Z"
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["EventView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listJobs: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                /** @description Jobs without a queue of their own are in the one that is named as their task */
                queue?: string;
                sortBy?: "createdAt" | "runAt";
                sortOrder?: components["parameters"]["SortOrder"];
                /**
                 * @description `scheduled` for a later time, `ready` for the next free worker, `running`, `failed` and to be tried again, or `dead`:
                 *     failed for good
                 */
                state?: "scheduled" | "ready" | "running" | "failed" | "dead";
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "4711",
                     *           "queue": "mail.send",
                     *           "state": "failed",
                     *           "attempts": 2,
                     *           "maxAttempts": 10,
                     *           "lastError": "connect ECONNREFUSED",
                     *           "runAt": "2026-01-31T09:30:00.000Z",
                     *           "createdAt": "2026-01-31T09:30:00.000Z"
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["JobView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    retryJob: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted for later */
            202: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "4711",
                     *         "queue": "mail.send",
                     *         "state": "failed",
                     *         "attempts": 2,
                     *         "maxAttempts": 10,
                     *         "lastError": "connect ECONNREFUSED",
                     *         "runAt": "2026-01-31T09:30:00.000Z",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["JobView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The job is running; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getTrialBalance: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "currency": "EUR",
                     *           "accounts": 12,
                     *           "entries": 34,
                     *           "balanceTotal": 0,
                     *           "entriesTotal": 0
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["TrialBalanceView"][];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listOrders: {
        parameters: {
            query?: {
                /** @description At or after this time. For example `2026-01-31` */
                createdFrom?: string;
                /** @description Before this time. For example `2026-01-31` */
                createdTo?: string;
                /** @description For example `EUR` */
                currency?: string;
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description For moderators: adds to each order who placed it */
                include?: "user";
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                maxTotal?: number;
                minTotal?: number;
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt" | "updatedAt" | "total";
                sortOrder?: components["parameters"]["SortOrder"];
                status?: "pending" | "paid" | "shipped" | "delivered" | "cancelled" | "refunded";
                /** @description For moderators: whose orders */
                userId?: string;
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "number": "7K4MW-2Q9XT",
                     *           "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "status": "pending",
                     *           "currency": "EUR",
                     *           "total": 89800,
                     *           "items": [
                     *             {
                     *               "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *               "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *               "sku": "DESK-OAK-160",
                     *               "name": "Oak desk",
                     *               "quantity": 2,
                     *               "unitPrice": 44900,
                     *               "total": 89800
                     *             }
                     *           ],
                     *           "note": "Please ring twice",
                     *           "metadata": {
                     *             "campaign": "spring"
                     *           },
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "expiresAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1,
                     *           "user": {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "email": "ann@example.com",
                     *             "name": "Ann Archer"
                     *           }
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ListedOrderView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    placeOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "items": [
                 *         {
                 *           "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                 *           "quantity": 1
                 *         }
                 *       ],
                 *       "note": "Please ring twice",
                 *       "metadata": {
                 *         "campaign": "spring"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["PlaceOrderDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "number": "7K4MW-2Q9XT",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "status": "pending",
                     *         "currency": "EUR",
                     *         "total": 89800,
                     *         "items": [
                     *           {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "sku": "DESK-OAK-160",
                     *             "name": "Oak desk",
                     *             "quantity": 2,
                     *             "unitPrice": 44900,
                     *             "total": 89800
                     *           }
                     *         ],
                     *         "note": "Please ring twice",
                     *         "metadata": {
                     *           "campaign": "spring"
                     *         },
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "expiresAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["OrderView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["InsufficientStockOrIdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["CurrencyMismatchOrValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "number": "7K4MW-2Q9XT",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "status": "pending",
                     *         "currency": "EUR",
                     *         "total": 89800,
                     *         "items": [
                     *           {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "sku": "DESK-OAK-160",
                     *             "name": "Oak desk",
                     *             "quantity": 2,
                     *             "unitPrice": 44900,
                     *             "total": 89800
                     *           }
                     *         ],
                     *         "note": "Please ring twice",
                     *         "metadata": {
                     *           "campaign": "spring"
                     *         },
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "expiresAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["OrderView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            /** @description What you have is still the current version */
            304: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    updateOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "note": "Leave it with the neighbours",
                 *       "metadata": {
                 *         "campaign": "spring"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["UpdateOrderDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "number": "7K4MW-2Q9XT",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "status": "pending",
                     *         "currency": "EUR",
                     *         "total": 89800,
                     *         "items": [
                     *           {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "sku": "DESK-OAK-160",
                     *             "name": "Oak desk",
                     *             "quantity": 2,
                     *             "unitPrice": 44900,
                     *             "total": 89800
                     *           }
                     *         ],
                     *         "note": "Please ring twice",
                     *         "metadata": {
                     *           "campaign": "spring"
                     *         },
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "expiresAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["OrderView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The order is no longer pending */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    cancelOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "reason": "Ordered twice"
                 *     }
                 */
                "application/json": components["schemas"]["CancelOrderDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "number": "7K4MW-2Q9XT",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "status": "pending",
                     *         "currency": "EUR",
                     *         "total": 89800,
                     *         "items": [
                     *           {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "sku": "DESK-OAK-160",
                     *             "name": "Oak desk",
                     *             "quantity": 2,
                     *             "unitPrice": 44900,
                     *             "total": 89800
                     *           }
                     *         ],
                     *         "note": "Please ring twice",
                     *         "metadata": {
                     *           "campaign": "spring"
                     *         },
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "expiresAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["OrderView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The account that the money came from is closed, or the buyer has been erased since; or: The status does not allow this: `details` says what it allows; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    deliverOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /** @example {} */
                "application/json": components["schemas"]["DeliverOrderDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "number": "7K4MW-2Q9XT",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "status": "pending",
                     *         "currency": "EUR",
                     *         "total": 89800,
                     *         "items": [
                     *           {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "sku": "DESK-OAK-160",
                     *             "name": "Oak desk",
                     *             "quantity": 2,
                     *             "unitPrice": 44900,
                     *             "total": 89800
                     *           }
                     *         ],
                     *         "note": "Please ring twice",
                     *         "metadata": {
                     *           "campaign": "spring"
                     *         },
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "expiresAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["OrderView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The buyer has been erased since; or: The status does not allow this: `details` says what it allows; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listOrderHistory: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt";
                sortOrder?: components["parameters"]["SortOrder"];
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "from": "pending",
                     *           "to": "pending",
                     *           "by": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "reason": null,
                     *           "at": "2026-01-31T09:30:00.000Z"
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["StatusChangeView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    payOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "accountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7"
                 *     }
                 */
                "application/json": components["schemas"]["PayOrderDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "orderId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "transferId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "amount": 89800,
                     *         "currency": "EUR",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["PaymentView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["InvalidTransitionOrIdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["InsufficientFundsOrCurrencyMismatchOrValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    refundOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "reason": "Arrived broken"
                 *     }
                 */
                "application/json": components["schemas"]["RefundOrderDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "orderId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "transferId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "amount": 89800,
                     *         "currency": "EUR",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["PaymentView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The account that the money came from is closed; or: The status does not allow this: `details` says what it allows; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    shipOrder: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "carrier": "DHL",
                 *       "trackingNumber": "00340434161094042557"
                 *     }
                 */
                "application/json": components["schemas"]["ShipOrderDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "number": "7K4MW-2Q9XT",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "status": "pending",
                     *         "currency": "EUR",
                     *         "total": 89800,
                     *         "items": [
                     *           {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "sku": "DESK-OAK-160",
                     *             "name": "Oak desk",
                     *             "quantity": 2,
                     *             "unitPrice": 44900,
                     *             "total": 89800
                     *           }
                     *         ],
                     *         "note": "Please ring twice",
                     *         "metadata": {
                     *           "campaign": "spring"
                     *         },
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "expiresAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["OrderView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The buyer has been erased since; or: The status does not allow this: `details` says what it allows; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listProducts: {
        parameters: {
            query?: {
                /** @description For example `EUR` */
                currency?: string;
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description Whether there are any left */
                inStock?: boolean;
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description This price or less, in the minor unit */
                maxPrice?: number;
                /** @description This price or more, in the minor unit */
                minPrice?: number;
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                /**
                 * @description Words to look for in the name, the sku and the description: all of them, whatever their case, accents and endings.
                 *     A word that no product has stands for those that are nearly the same; where nothing is found, every longer word does.. For example `oak desk`
                 */
                q?: string;
                /** @description `relevance`, the best match first, is for searches, and the default there; names are sorted whatever their case */
                sortBy?: "createdAt" | "price" | "name" | "relevance";
                sortOrder?: components["parameters"]["SortOrder"];
                /** @description Any but `active` is for moderators */
                status?: "draft" | "active" | "archived";
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "sku": "DESK-OAK-160",
                     *           "name": "Oak desk",
                     *           "description": "A solid oak desk, 160 by 80 cm.",
                     *           "price": 44900,
                     *           "currency": "EUR",
                     *           "stock": 25,
                     *           "status": "draft",
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ProductView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "sku": "DESK-OAK-160",
                 *       "name": "Oak desk",
                 *       "description": "A solid oak desk, 160 by 80 cm.",
                 *       "price": 44900,
                 *       "currency": "EUR",
                 *       "stock": 25
                 *     }
                 */
                "application/json": components["schemas"]["CreateProductDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "sku": "DESK-OAK-160",
                     *         "name": "Oak desk",
                     *         "description": "A solid oak desk, 160 by 80 cm.",
                     *         "price": 44900,
                     *         "currency": "EUR",
                     *         "stock": 25,
                     *         "status": "draft",
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ProductView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The sku is taken; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "sku": "DESK-OAK-160",
                     *         "name": "Oak desk",
                     *         "description": "A solid oak desk, 160 by 80 cm.",
                     *         "price": 44900,
                     *         "currency": "EUR",
                     *         "stock": 25,
                     *         "status": "draft",
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ProductView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            /** @description What you have is still the current version */
            304: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    replaceProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "sku": "DESK-OAK-160",
                 *       "name": "Oak desk",
                 *       "description": "A solid oak desk, 160 by 80 cm.",
                 *       "price": 44900,
                 *       "currency": "EUR"
                 *     }
                 */
                "application/json": components["schemas"]["ReplaceProductDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "sku": "DESK-OAK-160",
                     *         "name": "Oak desk",
                     *         "description": "A solid oak desk, 160 by 80 cm.",
                     *         "price": 44900,
                     *         "currency": "EUR",
                     *         "stock": 25,
                     *         "status": "draft",
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ProductView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The sku is taken */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    deleteProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    updateProduct: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "sku": "DESK-OAK-160",
                 *       "name": "Oak desk",
                 *       "description": "A solid oak desk, 160 by 80 cm.",
                 *       "price": 44900,
                 *       "currency": "EUR"
                 *     }
                 */
                "application/json": components["schemas"]["UpdateProductDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "sku": "DESK-OAK-160",
                     *         "name": "Oak desk",
                     *         "description": "A solid oak desk, 160 by 80 cm.",
                     *         "price": 44900,
                     *         "currency": "EUR",
                     *         "stock": 25,
                     *         "status": "draft",
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ProductView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The sku is taken */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    adjustStock: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "delta": -3,
                 *       "reason": "Broken in the warehouse"
                 *     }
                 */
                "application/json": components["schemas"]["AdjustStockDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "sku": "DESK-OAK-160",
                     *         "name": "Oak desk",
                     *         "description": "A solid oak desk, 160 by 80 cm.",
                     *         "price": 44900,
                     *         "currency": "EUR",
                     *         "stock": 25,
                     *         "status": "draft",
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ProductView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["InsufficientStockOrIdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    transfer: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "fromAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                 *       "toAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                 *       "amount": 1999,
                 *       "note": "Rent"
                 *     }
                 */
                "application/json": components["schemas"]["TransferDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "kind": "transfer",
                     *         "fromAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "toAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "amount": 1999,
                     *         "currency": "EUR",
                     *         "note": "Rent",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["TransferView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["InsufficientFundsOrCurrencyMismatchOrValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getTransfer: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "kind": "transfer",
                     *         "fromAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "toAccountId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "amount": 1999,
                     *         "currency": "EUR",
                     *         "note": "Rent",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["TransferView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listUsers: {
        parameters: {
            query?: {
                /** @description At or after this time. For example `2026-01-31` */
                createdFrom?: string;
                /** @description Before this time. For example `2026-01-31` */
                createdTo?: string;
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description Contained in the email, whatever the case */
                email?: string;
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description Contained in the name, whatever the case */
                name?: string;
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                role?: "user" | "moderator" | "admin";
                sortBy?: "createdAt" | "updatedAt" | "email" | "name";
                sortOrder?: components["parameters"]["SortOrder"];
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "email": "ann@example.com",
                     *           "name": "Ann Archer",
                     *           "role": "admin",
                     *           "emailVerified": true,
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["UserView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ann@example.com",
                 *       "name": "Ann Archer",
                 *       "password": "Correct-Horse-7"
                 *     }
                 */
                "application/json": components["schemas"]["CreateUserDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "email": "ann@example.com",
                     *         "name": "Ann Archer",
                     *         "role": "admin",
                     *         "emailVerified": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["UserView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The user has been erased since; or: Somebody else has this email; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Deprecation: components["headers"]["Deprecation"];
                    ETag: components["headers"]["ETag"];
                    Link: components["headers"]["Link"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "email": "ann@example.com",
                     *         "name": "Ann Archer",
                     *         "role": "admin",
                     *         "emailVerified": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["UserView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            /** @description What you have is still the current version */
            304: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    Deprecation: components["headers"]["Deprecation"];
                    ETag: components["headers"]["ETag"];
                    Link: components["headers"]["Link"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    replaceUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ann@example.com",
                 *       "name": "Ann Archer",
                 *       "currentPassword": "Correct-Horse-7"
                 *     }
                 */
                "application/json": components["schemas"]["ReplaceUserDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "email": "ann@example.com",
                     *         "name": "Ann Archer",
                     *         "role": "admin",
                     *         "emailVerified": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["UserView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["InvalidCredentialsOrUnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description This is the last admin; or: Somebody else has this email */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    deleteUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description They hold money, wait for a paid order, or are the last admin */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    updateUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "ann@example.com",
                 *       "name": "Ann Archer",
                 *       "currentPassword": "Correct-Horse-7"
                 *     }
                 */
                "application/json": components["schemas"]["UpdateUserDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "email": "ann@example.com",
                     *         "name": "Ann Archer",
                     *         "role": "admin",
                     *         "emailVerified": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["UserView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["InvalidCredentialsOrUnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description This is the last admin; or: Somebody else has this email */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listOrdersOfUser: {
        parameters: {
            query?: {
                /** @description At or after this time. For example `2026-01-31` */
                createdFrom?: string;
                /** @description Before this time. For example `2026-01-31` */
                createdTo?: string;
                /** @description For example `EUR` */
                currency?: string;
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description For moderators: adds to each order who placed it */
                include?: "user";
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                maxTotal?: number;
                minTotal?: number;
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt" | "updatedAt" | "total";
                sortOrder?: components["parameters"]["SortOrder"];
                status?: "pending" | "paid" | "shipped" | "delivered" | "cancelled" | "refunded";
                /** @description For moderators: whose orders */
                userId?: string;
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "number": "7K4MW-2Q9XT",
                     *           "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "status": "pending",
                     *           "currency": "EUR",
                     *           "total": 89800,
                     *           "items": [
                     *             {
                     *               "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *               "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *               "sku": "DESK-OAK-160",
                     *               "name": "Oak desk",
                     *               "quantity": 2,
                     *               "unitPrice": 44900,
                     *               "total": 89800
                     *             }
                     *           ],
                     *           "note": "Please ring twice",
                     *           "metadata": {
                     *             "campaign": "spring"
                     *           },
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "expiresAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1,
                     *           "user": {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "email": "ann@example.com",
                     *             "name": "Ann Archer"
                     *           }
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["ListedOrderView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    placeOrderForUser: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "items": [
                 *         {
                 *           "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                 *           "quantity": 1
                 *         }
                 *       ],
                 *       "note": "Please ring twice",
                 *       "metadata": {
                 *         "campaign": "spring"
                 *       }
                 *     }
                 */
                "application/json": components["schemas"]["PlaceOrderDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "number": "7K4MW-2Q9XT",
                     *         "userId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "status": "pending",
                     *         "currency": "EUR",
                     *         "total": 89800,
                     *         "items": [
                     *           {
                     *             "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "productId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *             "sku": "DESK-OAK-160",
                     *             "name": "Oak desk",
                     *             "quantity": 2,
                     *             "unitPrice": 44900,
                     *             "total": 89800
                     *           }
                     *         ],
                     *         "note": "Please ring twice",
                     *         "metadata": {
                     *           "campaign": "spring"
                     *         },
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "expiresAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["OrderView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The user has been erased since; or: There are not that many left: `details` names what there is; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["CurrencyMismatchOrValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getMe: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "email": "ann@example.com",
                     *         "name": "Ann Archer",
                     *         "role": "admin",
                     *         "emailVerified": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["UserView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            /** @description What you have is still the current version */
            304: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listWebhooks: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt";
                sortOrder?: components["parameters"]["SortOrder"];
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "url": "https://shop.example/stoa",
                     *           "eventTypes": [
                     *             "user.created"
                     *           ],
                     *           "description": "description",
                     *           "enabled": true,
                     *           "createdAt": "2026-01-31T09:30:00.000Z",
                     *           "updatedAt": "2026-01-31T09:30:00.000Z",
                     *           "version": 1
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["WebhookView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    createWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://shop.example/stoa",
                 *       "eventTypes": [
                 *         "order.created",
                 *         "order.paid"
                 *       ],
                 *       "description": "The warehouse"
                 *     }
                 */
                "application/json": components["schemas"]["CreateWebhookDto"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "url": "https://shop.example/stoa",
                     *         "eventTypes": [
                     *           "user.created"
                     *         ],
                     *         "description": "description",
                     *         "enabled": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1,
                     *         "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["WebhookWithSecretView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "url": "https://shop.example/stoa",
                     *         "eventTypes": [
                     *           "user.created"
                     *         ],
                     *         "description": "description",
                     *         "enabled": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["WebhookView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            /** @description What you have is still the current version */
            304: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    replaceWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://shop.example/stoa",
                 *       "eventTypes": [
                 *         "order.created",
                 *         "order.paid"
                 *       ],
                 *       "description": "The warehouse"
                 *     }
                 */
                "application/json": components["schemas"]["ReplaceWebhookDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "url": "https://shop.example/stoa",
                     *         "eventTypes": [
                     *           "user.created"
                     *         ],
                     *         "description": "description",
                     *         "enabled": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["WebhookView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    deleteWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            204: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    updateWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version that was read: refused with 412 where the resource has changed since */
                "If-Match"?: components["parameters"]["IfMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "url": "https://shop.example/stoa",
                 *       "eventTypes": [
                 *         "order.created",
                 *         "order.paid"
                 *       ],
                 *       "description": "The warehouse"
                 *     }
                 */
                "application/json": components["schemas"]["UpdateWebhookDto"];
            };
        };
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "url": "https://shop.example/stoa",
                     *         "eventTypes": [
                     *           "user.created"
                     *         ],
                     *         "description": "description",
                     *         "enabled": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["WebhookView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    listWebhookDeliveries: {
        parameters: {
            query?: {
                /** @description Where the last answer ended: its `nextCursor` */
                cursor?: components["parameters"]["Cursor"];
                /** @description How many entries to answer with */
                limit?: components["parameters"]["Limit"];
                /** @description A page by its number, with totals; not together with `cursor` */
                page?: components["parameters"]["Page"];
                sortBy?: "createdAt";
                sortOrder?: components["parameters"]["SortOrder"];
                /** @description `pending`: to be attempted, `delivered`, or `dead`: given up */
                state?: "pending" | "delivered" | "dead";
            };
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": [
                     *         {
                     *           "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "eventId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *           "eventType": "user.created",
                     *           "state": "pending",
                     *           "attempts": 1,
                     *           "lastStatus": 100,
                     *           "lastError": null,
                     *           "nextAttemptAt": "2026-01-31T09:30:00.000Z",
                     *           "createdAt": "2026-01-31T09:30:00.000Z"
                     *         }
                     *       ],
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z",
                     *         "pagination": {
                     *           "limit": 20,
                     *           "nextCursor": "WyIyMDI2LTAxLTMxIiwiMDE5YWEzZjAiXQ",
                     *           "hasNext": true
                     *         }
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["DeliveryView"][];
                        meta: components["schemas"]["ListMeta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidCursor"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getWebhookDelivery: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                deliveryId: string;
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "eventId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "eventType": "user.created",
                     *         "state": "pending",
                     *         "attempts": 1,
                     *         "lastStatus": 100,
                     *         "lastError": null,
                     *         "nextAttemptAt": "2026-01-31T09:30:00.000Z",
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "lastResponse": null
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["DeliveryDetailView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    retryWebhookDelivery: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                deliveryId: string;
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted for later */
            202: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "eventId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "eventType": "user.created",
                     *         "state": "pending",
                     *         "attempts": 1,
                     *         "lastStatus": 100,
                     *         "lastError": null,
                     *         "nextAttemptAt": "2026-01-31T09:30:00.000Z",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["DeliveryView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The webhook is disabled; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    rotateWebhookSecret: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Created */
            201: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    Location: components["headers"]["Location"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "url": "https://shop.example/stoa",
                     *         "eventTypes": [
                     *           "user.created"
                     *         ],
                     *         "description": "description",
                     *         "enabled": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1,
                     *         "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["WebhookWithSecretView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["IdempotencyInProgress"];
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    testWebhook: {
        parameters: {
            query?: never;
            header?: {
                /** @description Lets the request be sent again without a second effect: for 24 hours the same key gets the first answer again */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Accepted for later */
            202: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Idempotency-Replayed": components["headers"]["Idempotency-Replayed"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "eventId": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "eventType": "user.created",
                     *         "state": "pending",
                     *         "attempts": 1,
                     *         "lastStatus": 100,
                     *         "lastError": null,
                     *         "nextAttemptAt": "2026-01-31T09:30:00.000Z",
                     *         "createdAt": "2026-01-31T09:30:00.000Z"
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["DeliveryView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            400: components["responses"]["MalformedRequestOrInvalidIdempotencyKey"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            /** @description The webhook is disabled; or: The first request with this `Idempotency-Key` is still running: try again */
            409: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            413: components["responses"]["PayloadTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["ValidationErrorOrIdempotencyKeyReused"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getUserWithOrderSummary: {
        parameters: {
            query?: never;
            header?: {
                /** @description The `ETag` of the version at hand: answered with 304, without a body, where it is still the current one */
                "If-None-Match"?: components["parameters"]["IfNoneMatch"];
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path: {
                /** @description The id of it */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "success": true,
                     *       "data": {
                     *         "id": "019aa3f0-7c1e-7b52-9f04-3d2a8c61e5b7",
                     *         "email": "ann@example.com",
                     *         "name": "Ann Archer",
                     *         "role": "admin",
                     *         "emailVerified": true,
                     *         "createdAt": "2026-01-31T09:30:00.000Z",
                     *         "updatedAt": "2026-01-31T09:30:00.000Z",
                     *         "version": 1,
                     *         "orderSummary": {
                     *           "count": 3,
                     *           "lastOrderAt": "2026-01-31T09:30:00.000Z",
                     *           "spent": [
                     *             {
                     *               "currency": "EUR",
                     *               "amount": 44900
                     *             }
                     *           ]
                     *         }
                     *       },
                     *       "meta": {
                     *         "requestId": "checkout-7f3a91",
                     *         "timestamp": "2026-01-31T09:30:00.000Z"
                     *       }
                     *     }
                     */
                    "application/json": {
                        data: components["schemas"]["CustomerView"];
                        meta: components["schemas"]["Meta"];
                        /** @constant */
                        success: true;
                    };
                };
            };
            /** @description What you have is still the current version */
            304: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    ETag: components["headers"]["ETag"];
                    RateLimit: components["headers"]["RateLimit"];
                    "RateLimit-Limit": components["headers"]["RateLimit-Limit"];
                    "RateLimit-Policy": components["headers"]["RateLimit-Policy"];
                    "RateLimit-Remaining": components["headers"]["RateLimit-Remaining"];
                    "RateLimit-Reset": components["headers"]["RateLimit-Reset"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["MalformedRequest"];
            401: components["responses"]["UnauthorizedOrTokenExpiredOrTokenRevoked"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            412: components["responses"]["PreconditionFailed"];
            422: components["responses"]["ValidationError"];
            429: components["responses"]["RateLimited"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "healthy",
                     *       "checks": {
                     *         "database": "connected",
                     *         "cache": "connected",
                     *         "disk": "sufficient"
                     *       }
                     *     }
                     */
                    "application/json": {
                        /**
                         * @example {
                         *       "database": "connected",
                         *       "cache": "connected",
                         *       "disk": "sufficient"
                         *     }
                         */
                        checks: {
                            [key: string]: string;
                        };
                        /** @enum {string} */
                        status: "healthy" | "degraded";
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            500: components["responses"]["InternalError"];
            /** @description It is not */
            503: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "unhealthy",
                     *       "checks": {
                     *         "database": "disconnected",
                     *         "cache": "connected",
                     *         "disk": "sufficient"
                     *       }
                     *     }
                     */
                    "application/json": {
                        /**
                         * @example {
                         *       "database": "disconnected",
                         *       "cache": "connected",
                         *       "disk": "sufficient"
                         *     }
                         */
                        checks: {
                            [key: string]: string;
                        };
                        /** @enum {string} */
                        status: "unhealthy";
                    };
                };
            };
        };
    };
    getLive: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "healthy",
                     *       "checks": {}
                     *     }
                     */
                    "application/json": {
                        /** @example {} */
                        checks: {
                            [key: string]: string;
                        };
                        /** @enum {string} */
                        status: "healthy";
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            500: components["responses"]["InternalError"];
            503: components["responses"]["ServiceUnavailable"];
        };
    };
    getReady: {
        parameters: {
            query?: never;
            header?: {
                /** @description Your own name for the request, to find it in our logs. One is made where it is missing or unfit */
                "X-Request-Id"?: components["parameters"]["RequestId"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is */
            200: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "healthy",
                     *       "checks": {
                     *         "database": "connected",
                     *         "cache": "connected",
                     *         "disk": "sufficient"
                     *       }
                     *     }
                     */
                    "application/json": {
                        /**
                         * @example {
                         *       "database": "connected",
                         *       "cache": "connected",
                         *       "disk": "sufficient"
                         *     }
                         */
                        checks: {
                            [key: string]: string;
                        };
                        /** @enum {string} */
                        status: "healthy" | "degraded";
                    };
                };
            };
            400: components["responses"]["MalformedRequest"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["ValidationError"];
            500: components["responses"]["InternalError"];
            /** @description It is not */
            503: {
                headers: {
                    "Access-Control-Allow-Origin": components["headers"]["Access-Control-Allow-Origin"];
                    "Cache-Control": components["headers"]["Cache-Control"];
                    "Retry-After": components["headers"]["Retry-After"];
                    "X-Request-Id": components["headers"]["X-Request-Id"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "unhealthy",
                     *       "checks": {
                     *         "database": "disconnected",
                     *         "cache": "connected",
                     *         "disk": "sufficient"
                     *       }
                     *     }
                     */
                    "application/json": {
                        /**
                         * @example {
                         *       "database": "disconnected",
                         *       "cache": "connected",
                         *       "disk": "sufficient"
                         *     }
                         */
                        checks: {
                            [key: string]: string;
                        };
                        /** @enum {string} */
                        status: "unhealthy";
                    };
                };
            };
        };
    };
}
