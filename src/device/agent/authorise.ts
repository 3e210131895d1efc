/** Whether a request carries the agent's token. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** What is said to requests without the right token. */
export const TOKEN_ERRORS = {
  missing: 'a token is wanted: none was sent',
  wrong: 'the token is wrong',
} as const;

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Hashes are compared, so that neither the time nor a length tells anything about the token. */
export function tokenCheck(token: string): (headers: IncomingHttpHeaders) => 'right' | 'missing' | 'wrong' {
  const wanted = sha256(token);
  return ({ authorization = '' }) => {
    const [, given = ''] = /^Bearer ([\x21-\x7e]{1,512})$/.exec(authorization) ?? [];
    if (timingSafeEqual(sha256(given), wanted)) return 'right';
    return /^(Bearer)?\s*$/.test(authorization) ? 'missing' : 'wrong';
  };
}
