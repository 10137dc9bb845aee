// The access log: one line for each exchange, when it settles.

import { parseAccessLogFormat } from '../../config/access-log-format.ts';
import type { Config } from '../../config/config.ts';
import type { Log } from '../../telemetry/log.ts';
import type { SettledExchange } from '../settled-exchange.ts';
import { openLogWriter } from './log-writer.ts';
import { compile } from './render.ts';

export interface AccessLog {
  write(exchange: SettledExchange): void;
  /** After a rotation has moved the file away. */
  reopen(): void;
  /** Writes what waits, synchronously. Done at exit without being asked. */
  flush(): void;
  close(): void;
}

/** Null when the log is off. Throws for a format that checkAccessLogFormat() refuses, and for a
 *  file that can't be opened. */
export function createAccessLog(
  config: Pick<Config, 'accessLogfile' | 'accessLogformat'>,
  log: Log,
): AccessLog | null {
  if (config.accessLogfile === null) return null;
  const parts = parseAccessLogFormat(config.accessLogformat);
  if (typeof parts === 'string') throw new Error(`accessLogformat: ${parts}`);
  const render = compile(parts);
  const writer = openLogWriter(config.accessLogfile, log);
  return {
    write(exchange) {
      const moment = { nowMs: performance.now(), wallMs: Date.now() };
      writer.write(`${render(exchange, moment)}\n`);
    },
    reopen: writer.reopen,
    flush: writer.flush,
    close: writer.close,
  };
}
