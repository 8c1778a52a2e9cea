/**
 * For the `options` of a connection. PostgreSQL asks a client that has said nothing for 30 s whether it is still there,
 * and lets go of one that vanished 30 s later. By default it would take two hours, in which the connections of a machine
 * that lost its power or its network still count against `max_connections`.
 */
export const KEEPALIVE = '-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3';
