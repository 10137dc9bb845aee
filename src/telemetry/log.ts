// The event log: pino, written as Gunicorn writes its error log ("text") or as JSON lines.

import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from '../config/config.ts';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'text' | 'json';
  /** A file, or "-" for stderr. */
  readonly file: string;
  /** Who writes: "arbiter", "edge 1", "worker 2". */
  readonly role: string;
}

export interface Log {
  trace(message: string, facts?: object): void;
  debug(message: string, facts?: object): void;
  info(message: string, facts?: object): void;
  warning(message: string, facts?: object): void;
  error(message: string, facts?: object): void;
  critical(message: string, facts?: object): void;
  /** Opens the file anew, after a log rotation has moved it away. */
  reopen(): void;
}

const pinoLevels = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'fatal',
} as const satisfies Record<LogLevel, string>;

/** Opens the event log. Written at once and in order: events are rare, and the last line before
 *  an end matters most. */
export function openLog(options: LogOptions): Log {
  const destination = pino.destination({
    dest: options.file === '-' ? 2 : options.file,
    sync: true,
    append: true,
    mkdir: options.file !== '-',
  });
  // Nobody reads stderr any more (EPIPE), or the disk is full: logging never ends the program.
  destination.on('error', () => {});
  const stream = options.format === 'json' ? destination : textLines(destination);
  const logger = pino(
    {
      level: pinoLevels[options.level],
      base: { pid: process.pid, role: options.role },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: levelNames[label] ?? label }) },
    },
    stream,
  );
  return {
    trace: (message, facts) => write(logger, 'trace', message, facts),
    debug: (message, facts) => write(logger, 'debug', message, facts),
    info: (message, facts) => write(logger, 'info', message, facts),
    warning: (message, facts) => write(logger, 'warn', message, facts),
    error: (message, facts) => write(logger, 'error', message, facts),
    critical: (message, facts) => write(logger, 'fatal', message, facts),
    reopen: () => {
      if (options.file !== '-') destination.reopen();
    },
  };
}

const levelNames: Record<string, string> = Object.fromEntries(
  Object.entries(pinoLevels).map(([ours, theirs]) => [theirs, ours]),
);

type Method = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

function write(logger: PinoLogger, method: Method, message: string, facts?: object): void {
  if (facts === undefined) logger[method](message);
  else logger[method](facts, message);
}

/** Turns pino's JSON into `[2026-11-22 09:15:45.120 +0000] [42] [INFO] worker 2: message (key=value)`. */
function textLines(destination: DestinationStream): DestinationStream {
  return {
    write(line: string): void {
      const { level, time, pid, role, msg, ...facts } = JSON.parse(line) as Record<string, unknown>;
      const stamp = String(time).replace('T', ' ').replace('Z', ' +0000');
      const rest = Object.entries(facts).map(([key, value]) => `${key}=${inline(value)}`);
      const tail = rest.length > 0 ? ` (${rest.join(', ')})` : '';
      destination.write(
        `[${stamp}] [${pid}] [${String(level).toUpperCase()}] ${role}: ${msg}${tail}\n`,
      );
    },
  };
}

function inline(value: unknown): string {
  if (typeof value === 'string') return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
  if (value !== null && typeof value === 'object' && 'stack' in value) return `\n${value.stack}`;
  return JSON.stringify(value) ?? 'undefined';
}
