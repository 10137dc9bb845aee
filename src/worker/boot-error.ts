// Why a worker can't serve: the error that ends its boot, and the text the operator gets to read.

import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { ownCode } from '../executable/inside.ts';

/** Exit codes as Gunicorn has them: 3 = the worker can't serve, 4 = the app can't be loaded. */
export type BootExitCode = 3 | 4;

/** Ends the boot with a message made for the operator; no stack is shown with it. */
export class BootError extends Error {
  override name = 'BootError';
  readonly exitCode: BootExitCode;

  constructor(exitCode: BootExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

const noise = ['(node:', ' node:', ownCode, pathToFileURL(ownCode).href, '/node_modules/jiti/'];

/** The error with its causes and with those frames of its stack that are the app's. */
export function describeError(error: unknown): string {
  return withoutNoise(inspect(error, { depth: 3, colors: false }));
}

/** The same error, its stack cut down to the app's frames: for the log. */
export function tidyError(error: unknown): unknown {
  if (error instanceof Error && typeof error.stack === 'string') {
    try {
      error.stack = withoutNoise(error.stack);
    } catch {
      // A frozen error keeps its stack.
    }
  }
  return error;
}

function withoutNoise(text: string): string {
  const isNoise = (line: string): boolean =>
    /^\s+at /.test(line) && noise.some((part) => line.includes(part));
  return text
    .split('\n')
    .filter((line) => !isNoise(line))
    .join('\n')
    .trimEnd();
}
