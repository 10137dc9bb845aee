// A thread that checks passwords: one takes 50 ms and more of CPU on purpose, in which the edge would serve nobody.

import { parentPort } from 'node:worker_threads';
import { argon2Verify, bcryptVerify } from 'hash-wasm';
import type { PasswordAnswer, PasswordQuestion } from './password-check.ts';

/** One after the other: this is one thread. */
let last = Promise.resolve();

parentPort!.on('message', (question: PasswordQuestion) => {
  last = last.then(async () => {
    const answer: PasswordAnswer = { id: question.id, fits: await fits(question) };
    parentPort!.postMessage(answer);
  });
});

async function fits({ hash, password }: PasswordQuestion): Promise<boolean> {
  try {
    if (hash.startsWith('$2')) return await bcryptVerify({ password, hash });
    return await argon2Verify({ password, hash });
  } catch {
    // One that can't be hashed: empty, or longer than the 72 bytes that bcrypt looks at.
    return false;
  }
}
