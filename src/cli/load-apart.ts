// Loads the settings in a process of their own, see config-role.ts.

import { spawn } from 'node:child_process';
import { deepFreeze } from '../config/resolve.ts';
import { selfCommand } from '../executable/self.ts';
import { onTerminal } from './on-terminal.ts';

export type LoadedApart<T> =
  | { readonly ok: true; readonly config: T }
  | { readonly ok: false; readonly problems: readonly string[] };

/** A config file that asks a slow secret store may take a while; one that hangs must not stop reloads for ever. */
const loadTimeoutMs = 60_000;
const answerBytesMax = 8 * 1024 ** 2;

/** Never rejects. `argv` and `cwd` are those Portico was started with; T is what config-role.ts prints for
 *  such a command line. */
export function loadApart<T>(argv: readonly string[], cwd: string): Promise<LoadedApart<T>> {
  return new Promise((done) => {
    const self = selfCommand({ args: argv });
    const child = spawn(self.file, self.args, {
      cwd,
      env: { ...process.env, ...self.env, PWD: cwd, PORTICO_ROLE: 'config', ...terminalMark() },
      // What the config file prints goes where the arbiter's own errors go.
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const fail = (problem: string) => done({ ok: false, problems: [problem] });
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail(`Cannot load the settings: it took longer than ${loadTimeoutMs / 1000}s`);
    }, loadTimeoutMs);
    const chunks: Buffer[] = [];
    let bytes = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > answerBytesMax) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.on('error', (error) => fail(`Cannot load the settings: ${error.message}`));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      done(readAnswer(Buffer.concat(chunks).toString(), code, signal));
    });
  });
}

/** Its own output is a pipe. */
function terminalMark() {
  return onTerminal().onTerminal ? { PORTICO_ON_TERMINAL: '1' } : {};
}

function readAnswer<T>(text: string, code: number | null, signal: string | null): LoadedApart<T> {
  try {
    const answer: unknown = JSON.parse(text);
    if (code === 0) return { ok: true, config: deepFreeze(answer as T) };
    if (code === 1 && Array.isArray(answer)) return { ok: false, problems: answer.map(String) };
  } catch {
    // It ended before it could answer: the config file called process.exit(), or was killed.
  }
  const how = signal === null ? `exit code ${code}` : signal;
  return { ok: false, problems: [`Cannot load the settings: the process ended with ${how}`] };
}
