// One thread of a worker of class "threads": serves the app, and speaks with the main thread only.

import { parentPort, workerData } from 'node:worker_threads';
import { workerName } from '../config/apps.ts';
import { openLog } from '../telemetry/log.ts';
import { BootError, describeError } from './boot-error.ts';
import { heartbeatIntervalMs } from './heartbeat.ts';
import type { FromThread, ThreadData, ToThread } from './threads.ts';
import { startUnit } from './unit.ts';

const port = parentPort!;
const { config, assignment, index, socketPath } = workerData as ThreadData;
const log = openLog({
  level: config.logLevel,
  format: config.logFormat,
  file: config.errorLogfile,
  role: `${workerName(assignment.app, assignment.slot)} thread ${index}`,
});
const send = (message: FromThread): void => port.postMessage(message);

void run();

async function run(): Promise<void> {
  try {
    const unit = await startUnit({
      config,
      assignment,
      socketPath,
      log,
      keepAlive: port,
      onTaken: () => {},
      onAppClosed: () => send({ type: 'retire', reason: 'the app closed its server' }),
    });
    const beat = setInterval(
      () => send({ type: 'beat', load: unit.load() }),
      heartbeatIntervalMs(config.timeoutMs),
    );
    port.on('message', async (message: ToThread) => {
      if (message.type === 'reopen-logs') return log.reopen();
      const cut = await unit.drain(message.withinMs);
      clearInterval(beat);
      send({ type: 'drained', cut });
    });
    send({ type: 'ready', app: unit.app });
  } catch (error) {
    const known = error instanceof BootError;
    const reason = known ? error.message : describeError(error);
    send({ type: 'boot-failed', exitCode: known ? error.exitCode : 3, reason });
  }
}
