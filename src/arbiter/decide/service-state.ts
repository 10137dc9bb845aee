// What a service manager is told about the arbiter: a pure summary of its state.

import type { State } from './state.ts';

export interface ServiceState {
  readonly phase: 'starting' | 'serving' | 'reloading' | 'stopping';
  /** One line for people. */
  readonly status: string;
}

export function serviceState(state: State): ServiceState {
  const { phase, reload, apps, workers, lastReload, current } = state;
  const serving = workers.filter((worker) => worker.phase === 'serving').length;
  const desired = apps.reduce((sum, app) => sum + app.desired, 0);
  const count = `${serving} of ${desired} workers`;
  switch (phase.name) {
    case 'starting':
      return { phase: 'starting', status: `Starting: ${count}` };
    case 'running':
      return reload !== null
        ? { phase: 'reloading', status: `Reloading: ${count} serve` }
        : {
            phase: 'serving',
            status:
              lastReload?.ok === false
                ? `${count} serve; the last reload failed: ${lastReload.problems[0] ?? ''}`
                : `${count} serve, generation ${current.number}`,
          };
    case 'stopping':
    case 'ended':
      return {
        phase: 'stopping',
        status: `Stopping: ${state.edges.length} edges and ${workers.length} workers left`,
      };
    default:
      throw new Error(`unknown phase ${JSON.stringify(phase satisfies never)}`);
  }
}
