/** The SQL of a text that is another for every state of a row with a version; also after a backup was restored. */
export const STAMP = `version || '@' || extract(epoch FROM updated_at)::text`;
