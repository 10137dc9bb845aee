// An event log that keeps what it is told.

import type { Log } from '../../src/telemetry/log.ts';

/** `lines` gets level, message and facts of each event. */
export function recordingLog(lines: string[] = []): { log: Log; lines: string[] } {
  const at = (level: string) => (message: string, facts?: object) => {
    lines.push(`${level} ${message} ${JSON.stringify(facts ?? {})}`);
  };
  const log: Log = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warning: at('warning'),
    error: at('error'),
    critical: at('critical'),
    reopen: () => {},
  };
  return { log, lines };
}
