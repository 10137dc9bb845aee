// Takes hold of the process before the app's code runs: which signals reach it, what an uncaught
// error does. The app's own signal listeners stay registered and are called at the right time.

import { constants } from 'node:os';

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT';

export interface HoldOptions {
  onStop(signal: StopSignal): void;
  /** USR1: the log files have been moved away. */
  onReopen(): void;
  /** An error nobody caught; the process leaves after it with code 1, as Node's would. */
  onUncaught(error: unknown): void;
}

export interface Hold {
  /** Whether the app wants to hear SIGTERM. */
  appListens(): boolean;
  /** The app's SIGTERM listeners are called now. */
  tellApp(): void;
}

const held: ReadonlySet<string> = new Set(['SIGTERM', 'SIGINT', 'SIGQUIT']);

export function holdProcess({ onStop, onReopen, onUncaught }: HoldOptions): Hold {
  const emit = process.emit;
  // A stop signal reaches the whole process group (Ctrl-C, systemd), and an app that ends the
  // process on it would cut the requests in flight. Node binds process.emit when the first
  // listener of a signal is added, so this replacement must come before those below.
  process.emit = function (this: NodeJS.Process, event: string | symbol, ...args: unknown[]) {
    if (typeof event === 'string' && held.has(event)) {
      onStop(event as StopSignal);
      return true;
    }
    return Reflect.apply(emit, this, [event, ...args]);
  } as typeof emit;
  const nothing = (): void => {};
  for (const signal of held) process.on(signal, nothing);
  // Without a listener USR1 opens the inspector to everyone on this machine.
  process.on('SIGUSR1', onReopen);
  // HUP and USR2 mean something to the arbiter; here their default would end the process.
  process.on('SIGHUP', nothing);
  process.on('SIGUSR2', nothing);

  // A monitor changes nothing for an app that has its own 'uncaughtException' listener. Leaving from
  // it keeps Node from printing the error a second time.
  process.on('uncaughtExceptionMonitor', (error) => {
    onUncaught(error);
    if (process.listenerCount('uncaughtException') === 0) process.exit(1);
  });
  return {
    appListens: () => process.listenerCount('SIGTERM') > 1,
    tellApp() {
      Reflect.apply(emit, process, ['SIGTERM', 'SIGTERM', constants.signals.SIGTERM]);
    },
  };
}
