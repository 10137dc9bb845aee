// The event log that all parts of the edge hold: where it writes and how much can change under them.

import type { Config } from '../config/config.ts';
import { type Log, openLog } from '../telemetry/log.ts';

export class LiveLog implements Log {
  private log: Log;
  private opened = '';

  constructor(first: Log) {
    this.log = first;
  }

  /** Opens what the settings ask for, where that is something else; it is used once the function
   *  that is returned is called. Throws when it can't be opened. */
  prepare(config: Config, role: string): () => void {
    const options = {
      level: config.logLevel,
      format: config.logFormat,
      file: config.errorLogfile,
      role,
    };
    const wanted = JSON.stringify(options);
    if (wanted === this.opened) return () => {};
    const next = openLog(options);
    return () => {
      this.log = next;
      this.opened = wanted;
    };
  }

  trace(message: string, facts?: object): void {
    this.log.trace(message, facts);
  }
  debug(message: string, facts?: object): void {
    this.log.debug(message, facts);
  }
  info(message: string, facts?: object): void {
    this.log.info(message, facts);
  }
  warning(message: string, facts?: object): void {
    this.log.warning(message, facts);
  }
  error(message: string, facts?: object): void {
    this.log.error(message, facts);
  }
  critical(message: string, facts?: object): void {
    this.log.critical(message, facts);
  }
  reopen(): void {
    this.log.reopen();
  }
}
