// What happens to edges: what they say, how they end, and the deadlines of each phase of their life.

import type { FromEdge } from '../../ipc/messages.ts';
import type { Event } from './events.ts';
import { configureMs, edgeHungMs } from './limits.ts';
import { configureEdge, describeExit, edgeWithdrew, seconds } from './moves.ts';
import { edgeLeftPurge, edgePurged } from './purge.ts';
import { edgeConfigured, failReload } from './reload.ts';
import type { Edge } from './state.ts';
import { edgeLeftStatus, edgeReported } from './status.ts';
import { beginStop } from './stop.ts';
import {
  backoffOf,
  countFailure,
  killEdge,
  log,
  nameOf,
  putEdge,
  seatOf,
  set,
  type Turn,
  tellEdge,
} from './turn.ts';
import { workerSpent } from './workers.ts';

export function edgeSpawned(turn: Turn, id: number, pid: number): void {
  const edge = turn.state.edges.find((other) => other.id === id);
  if (edge === undefined) return;
  putEdge(turn, { ...edge, pid });
  log(turn, 'info', `Booting edge with pid: ${pid}`);
}

export function edgeSays(turn: Turn, id: number, message: FromEdge): void {
  const edge = turn.state.edges.find((other) => other.id === id);
  if (edge === undefined) return;
  switch (message.type) {
    case 'started':
      if (edge.phase === 'booting') introduce(turn, edge);
      return;
    case 'ready':
    case 'refused':
      edgeAnswered(turn, edge, message.type === 'refused' ? message.reason : null);
      return;
    case 'heartbeat':
      if (edge.phase === 'serving') putEdge(turn, { ...edge, beatAtMs: turn.now });
      return;
    case 'withdrawn':
      edgeWithdrew(turn, id, message.workerId);
      return;
    case 'spent':
      workerSpent(turn, message.workerId, message.served);
      return;
    case 'purged':
      edgePurged(turn, id, message.askId, message.responses);
      return;
    case 'status':
      edgeReported(turn, id, message.askId, message.status);
      return;
    default:
      throw new Error(`unknown message ${JSON.stringify(message satisfies never)}`);
  }
}

/** Tells a new edge all it must know: settings, sockets, workers. */
function introduce(turn: Turn, edge: Edge): void {
  const { edgeConfig, sockets, workers } = turn.state;
  const { id, slot, pid, bornAtMs } = edge;
  tellEdge(turn, id, { type: 'configure', config: edgeConfig.config });
  for (const { key, address } of sockets) tellEdge(turn, id, { type: 'listen', key, address });
  for (const worker of workers) {
    if (worker.phase === 'serving') tellEdge(turn, id, { type: 'admit', worker: worker.address });
  }
  const deadlineMs = turn.now + configureMs;
  const configured = edgeConfig.number;
  putEdge(turn, { id, slot, pid, bornAtMs, phase: 'starting', deadlineMs, configured });
}

/** The answer to the first configuration, or to one of a reload. */
function edgeAnswered(turn: Turn, edge: Edge, refusal: string | null): void {
  if (edge.phase === 'starting') {
    const { id, slot, pid, bornAtMs, configured } = edge;
    if (refusal !== null) {
      killEdge(turn, edge);
      edgeFailed(turn, edge, refusal, 1);
      return;
    }
    const serving = { id, slot, pid, bornAtMs, phase: 'serving', configured } as const;
    putEdge(turn, { ...serving, beatAtMs: turn.now, unanswered: 0 });
    log(turn, 'debug', `${nameOf('edge', edge)} is ready`);
    return;
  }
  if (edge.phase !== 'serving') return;
  const unanswered = Math.max(0, edge.unanswered - 1);
  putEdge(turn, { ...edge, unanswered });
  const { reload } = turn.state;
  // Only the answer to the configuration sent last counts: a reload that failed has sent two.
  const isAwaited =
    edge.unanswered === 1 && reload?.step === 'configuring' && reload.waiting.includes(edge.id);
  if (!isAwaited) {
    if (refusal !== null) log(turn, 'error', `${nameOf('edge', edge)} refused: ${refusal}`);
  } else if (refusal === null) edgeConfigured(turn, edge.id);
  else failReload(turn, [`${nameOf('edge', edge)} refused the new settings: ${refusal}`]);
}

export function edgeExited(turn: Turn, event: Extract<Event, { kind: 'exit' }>): void {
  const edge = turn.state.edges.find((other) => other.id === event.id);
  if (edge === undefined) return;
  set(turn, { edges: turn.state.edges.filter((other) => other.id !== edge.id) });
  edgeWithdrew(turn, edge.id, null);
  edgeLeftStatus(turn, edge.id);
  edgeLeftPurge(turn, edge.id);
  const how = describeExit(event);
  const name = nameOf('edge', edge);
  if (edge.phase === 'dying' || edge.phase === 'draining') {
    // A signal that was sent is no news; a drain that ends in anything but 0 is.
    const isExpected = edge.phase === 'dying' || event.code === 0;
    log(turn, isExpected ? 'info' : 'warning', `${name} has left: ${how}`);
  } else if (turn.state.phase.name === 'stopping') {
    log(turn, 'warning', `${name} ended before it was asked to: ${how}`);
  } else edgeFailed(turn, edge, `it ended unexpectedly: ${how}`, 3);
}

/** The edge serves no more, or never will. At the start nothing works without it. */
function edgeFailed(turn: Turn, edge: Edge, reason: string, exitCode: number): void {
  const { phase, reload } = turn.state;
  if (phase.name === 'stopping') return;
  const name = nameOf('edge', edge);
  if (phase.name === 'starting') {
    log(turn, 'critical', `${name} could not start: ${reason}`);
    beginStop(turn, { quick: true, exitCode, askIds: [] });
    return;
  }
  const livedMs = edge.phase === 'serving' ? turn.now - edge.bornAtMs : 0;
  const seat = seatOf('edge', edge);
  const waitMs = countFailure(turn, 'edge', seat, livedMs);
  const { failures } = backoffOf(turn.state, seat);
  const next = waitMs === 0 ? 'starting another' : `next try in ${seconds(waitMs)}`;
  log(turn, 'error', `${name} failed (${failures} in a row), ${next}: ${reason}`);
  if (reload?.step === 'configuring' && reload.waiting.includes(edge.id)) {
    failReload(turn, [`${name} failed while it took on the new settings: ${reason}`]);
  }
}

export function checkEdges(turn: Turn): void {
  for (const { id } of turn.state.edges) {
    // Looked up each time: what happened to the one before may have changed this one.
    const edge = turn.state.edges.find((other) => other.id === id);
    if (edge !== undefined) checkEdge(turn, edge);
  }
}

function checkEdge(turn: Turn, edge: Edge): void {
  const { now } = turn;
  const { current, edgeConfig } = turn.state;
  switch (edge.phase) {
    case 'booting':
    case 'starting':
      if (now < edge.deadlineMs) return;
      killEdge(turn, edge);
      edgeFailed(turn, edge, `it was not ready after ${seconds(now - edge.bornAtMs)}`, 3);
      return;
    case 'serving': {
      const silentMs = now - edge.beatAtMs;
      if (silentMs > edgeHungMs(current.config)) {
        killEdge(turn, edge);
        edgeFailed(turn, edge, `it did not answer for ${seconds(silentMs)}`, 3);
      } else if (edge.configured !== edgeConfig.number && edge.unanswered === 0) {
        // It came up while a reload changed the settings.
        if (turn.state.reload?.step !== 'configuring') configureEdge(turn, edge, edgeConfig);
      }
      return;
    }
    case 'draining':
      if (now < edge.killAtMs) return;
      log(turn, 'warning', `${nameOf('edge', edge)} did not finish in time: killing it`);
      killEdge(turn, edge);
      return;
    case 'dying':
      if (now >= edge.killAtMs) killEdge(turn, edge);
      return;
    default:
      throw new Error(`unknown edge ${JSON.stringify(edge satisfies never)}`);
  }
}
