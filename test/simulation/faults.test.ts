// The simulation can fail: faults planted into decide are each found, by the rule that is there for them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../src/arbiter/decide/events.ts';
import type { State, Worker } from '../../src/arbiter/decide/state.ts';
import { decide } from '../../src/arbiter/decide.ts';
import { workerAddress } from '../helpers/worker-address.ts';
import { type Decide, live } from './life.ts';

const livesMax = 2000;

type Decision = ReturnType<Decide>;

/** decide with its decisions spoilt. */
function spoilt(spoil: (decision: Decision, before: State, now: number) => Decision): Decide {
  return (state, event, now) => spoil(decide(state, event, now), state, now);
}

function withoutActions(isDropped: (action: Action, state: State) => boolean): Decide {
  return spoilt(({ state, actions }) => ({
    state,
    actions: actions.filter((action) => !isDropped(action, state)),
  }));
}

function withWorkers(change: (worker: Worker, state: State, now: number) => Worker): Decide {
  return spoilt(({ state, actions }, _before, now) => ({
    state: { ...state, workers: state.workers.map((worker) => change(worker, state, now)) },
    actions,
  }));
}

const isToEdge = (action: Action, type: string): boolean =>
  action.kind === 'tell-edge' && action.message.type === type;

const faults: readonly { name: string; found: RegExp; decide: Decide }[] = [
  {
    name: 'workers are drained without being withdrawn',
    found: /withdraw comes before drain|an edge sends only to workers that serve/,
    decide: withoutActions((action) => isToEdge(action, 'withdraw')),
  },
  {
    name: 'the drain does not wait for the edges',
    found: /a drain waits for the edges/,
    decide: spoilt(({ state, actions }) => ({
      state,
      actions: actions.flatMap((action): readonly Action[] =>
        action.kind === 'tell-edge' && action.message.type === 'withdraw'
          ? [
              action,
              {
                kind: 'tell-worker',
                id: action.message.workerId,
                message: { type: 'drain', deadlineMs: 1000 },
              } as const,
            ]
          : [action],
      ),
    })),
  },
  {
    name: 'a worker is admitted when it is started',
    found: /admitted only after it was ready|configure comes first/,
    decide: spoilt(({ state, actions }) => ({
      state,
      actions: actions.flatMap((action): readonly Action[] => {
        if (action.kind !== 'spawn-worker') return [action];
        const { id, slot } = action;
        const worker = workerAddress({ id, slot, sockets: [] });
        return [
          action,
          ...state.edges
            .filter(({ phase }) => phase === 'serving')
            .map((edge) => {
              const message = { type: 'admit', worker } as const;
              return { kind: 'tell-edge', id: edge.id, message } as const;
            }),
        ];
      }),
    })),
  },
  {
    name: 'a replaced worker leaves before its replacement is ready',
    found: /a replacement serves before|the last worker that serves is not withdrawn/,
    decide: withWorkers((worker, state, now) => {
      const isReplaced =
        worker.phase === 'serving' &&
        state.workers.some(
          ({ app, slot, phase }) =>
            app === worker.app && slot === worker.slot && phase === 'booting',
        );
      if (!isReplaced) return worker;
      const { readyAtMs: _r, retiring: _t, kind: _k, ...rest } = worker;
      return {
        ...rest,
        phase: 'withdrawing',
        waiting: [],
        deadlineMs: now,
        leaves: 'replaced',
      };
    }),
  },
  {
    name: 'KILL is never sent',
    found: /ends in time|found in time/,
    decide: withoutActions((action) => action.kind === 'kill' && action.signal === 'SIGKILL'),
  },
  {
    name: 'a boot has no deadline',
    found: /booting ends in time/,
    decide: withWorkers((worker) =>
      worker.phase === 'booting' ? { ...worker, deadlineMs: Number.POSITIVE_INFINITY } : worker,
    ),
  },
  {
    name: 'a drain has no deadline',
    found: /draining ends in time|a stop ends in time/,
    decide: withWorkers((worker) =>
      worker.phase === 'draining' ? { ...worker, killAtMs: Number.POSITIVE_INFINITY } : worker,
    ),
  },
  {
    name: 'a silent edge makes a withdrawal wait for ever',
    found: /withdrawing ends in time/,
    decide: withWorkers((worker) =>
      worker.phase === 'withdrawing'
        ? { ...worker, deadlineMs: Number.POSITIVE_INFINITY, beat: { ...worker.beat, atMs: 1e12 } }
        : worker,
    ),
  },
  {
    name: 'requests wait for workers that will never come',
    found: /an edge hears that nobody is left/,
    decide: withoutActions((action) => isToEdge(action, 'no-workers')),
  },
  {
    name: 'heartbeats are not believed',
    found: /no worker is taken for hung before its timeout/,
    decide: (state, event, now) =>
      event.kind === 'worker-says' && event.message.type === 'heartbeat'
        ? { state, actions: [] }
        : decide(state, event, now),
  },
  {
    name: 'hung workers are not noticed',
    found: /a hung worker is found in time/,
    decide: withWorkers((worker, _state, now) =>
      worker.phase === 'serving' ? { ...worker, beat: { ...worker.beat, atMs: now } } : worker,
    ),
  },
  {
    name: 'a pause of the arbiter kills healthy workers',
    found: /no worker is taken for hung before its timeout/,
    decide: (state, event, now) =>
      decide(event.kind === 'tick' ? { ...state, lastTickMs: now } : state, event, now),
  },
  {
    name: 'ids are used again',
    found: /no id is used twice/,
    decide: spoilt(({ state, actions }) => ({
      state: { ...state, nextId: state.nextId > 12 ? 5 : state.nextId },
      actions,
    })),
  },
  {
    name: 'failures wait for nothing',
    found: /retried ever more slowly/,
    decide: spoilt(({ state, actions }) => ({ state: { ...state, backoffs: [] }, actions })),
  },
  {
    name: 'a reload that fails is not answered',
    found: /is answered in time|every request is answered/,
    decide: withoutActions((action) => action.kind === 'reply' && !action.reply.ok),
  },
  {
    name: 'a stop is not answered',
    found: /every request is answered/,
    decide: withoutActions(
      (action) => action.kind === 'reply' && action.reply.ok && action.reply.command === 'stop',
    ),
  },
  {
    name: 'the edges are not told that a worker is gone',
    found: /an edge sends only to workers that serve|know just the workers/,
    decide: withoutActions((action) => isToEdge(action, 'gone')),
  },
  {
    name: 'a new edge is not told of the workers that are there',
    found: /know just the workers/,
    decide: spoilt(({ state, actions }) => ({
      state,
      actions: actions.filter(
        (action) =>
          !isToEdge(action, 'admit') || !actions.some((other) => isToEdge(other, 'listen')),
      ),
    })),
  },
  {
    name: 'a failed reload leaves the edges with the new settings',
    found: /edges work by the current settings|every worker is of|no reload hangs|answered in time/,
    decide: spoilt(({ state, actions }, before) => ({
      state,
      actions: actions.filter(
        (action) =>
          !isToEdge(action, 'configure') || before.reload === null || state.reload !== null,
      ),
    })),
  },
  {
    name: 'removed sockets are closed while edges listen',
    found: /closed after the edges have let go/,
    decide: withoutActions((action) => isToEdge(action, 'unlisten')),
  },
  {
    name: 'the workers wanted are forgotten after a crash',
    found: /as many workers as wanted|every worker serves|no reload hangs|ends/,
    decide: (state, event, now) =>
      event.kind === 'exit' && event.signal === 'SIGSEGV'
        ? spoilOnce(decide(state, event, now))
        : decide(state, event, now),
  },
  {
    name: 'the state is changed in place',
    found: /read only|not extensible/,
    decide: (state, event, now) => {
      const decision = decide(state, event, now);
      (state as { restarts: number }).restarts = 0;
      return decision;
    },
  },
];

/** Forgets what was to be started. */
function spoilOnce(decision: Decision): Decision {
  return { ...decision, actions: decision.actions.filter(({ kind }) => kind !== 'spawn-worker') };
}

for (const fault of faults) {
  test(`found: ${fault.name}`, (t) => {
    for (let seed = 1; seed <= livesMax; seed += 1) {
      try {
        live(seed, fault.decide);
      } catch (cause) {
        assert.ok(cause instanceof Error);
        assert.match(cause.message.split('\nseed')[0] ?? '', fault.found);
        t.diagnostic(`by life ${seed}: ${cause.message.split(/[[{\n]/, 1)[0]}`);
        return;
      }
    }
    assert.fail(`not found in ${livesMax} lives`);
  });
}
