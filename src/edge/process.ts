// The edge as a process: hears the arbiter, answers it, and leaves in good order.

import { setTimeout as sleep } from 'node:timers/promises';
import type { BindAddress, Config } from '../config/config.ts';
import { failure } from '../errors/failure.ts';
import { type Channel, channelFromEdge } from '../ipc/channel.ts';
import type { FromEdge, TlsFiles, ToEdge } from '../ipc/messages.ts';
import { useNative } from '../native/native.ts';
import { openLog } from '../telemetry/log.ts';
import { setProcessTitle } from '../telemetry/process-title.ts';
import { Edge } from './edge.ts';
import { BuildKeeper } from './kept-builds/keeper.ts';
import { LiveLog } from './live-log.ts';
import { watchExpiry } from './tls/expiry-watch.ts';

const heartbeatMs = 1000;
/** After the arbiter has died nobody replaces a worker any more: what is open may finish, but a new
 *  arbiter must not find old edges on its sockets for long. */
const orphanDrainMs = 5000;
/** For cutting what is left after the deadline and for the access log, unless the disk hangs. */
const lastWordsMs = 1000;

/** Life: started → configured, 'listen's outstanding → serving → draining → gone. */
type Phase =
  | { readonly name: 'started' }
  | { readonly name: 'opening'; readonly edge: Edge; readonly awaited: number }
  | { readonly name: 'serving'; readonly edge: Edge }
  | { readonly name: 'draining'; readonly edge: Edge | null };

export function runEdge(): void {
  const role = `edge ${process.env.PORTICO_SLOT ?? '1'}`;
  setProcessTitle(role);
  const log = new LiveLog(openLog({ level: 'info', format: 'text', file: '-', role }));
  process.on('uncaughtException', (error) => {
    // What state the rest is in nobody knows; the sockets outlive this process.
    log.critical('uncaught exception', { error });
    process.exit(1);
  });
  new EdgeProcess(role, log).start();
}

class EdgeProcess {
  private readonly role: string;
  private readonly log: LiveLog;
  private readonly channel: Channel<FromEdge>;
  private phase: Phase = { name: 'started' };
  private gracefulTimeoutMs = orphanDrainMs;
  private readonly builds: BuildKeeper | null;

  constructor(role: string, log: LiveLog) {
    this.role = role;
    this.log = log;
    // One does it for all.
    this.builds = role === 'edge 1' ? new BuildKeeper(log) : null;
    this.channel = channelFromEdge({
      onMessage: (message, handle) => this.onMessage(message, handle),
      onGone: () => {
        this.log.warning('the arbiter is gone: leaving');
        this.drain(orphanDrainMs);
      },
    });
  }

  start(): void {
    // The terminal sends these to the whole group; the arbiter decides what they mean.
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR2'] as const)
      process.on(signal, () => {});
    process.on('SIGTERM', () => this.drain(this.gracefulTimeoutMs));
    setInterval(() => this.beat(), heartbeatMs);
    // Handlers are in: only now may the arbiter speak.
    this.channel.send({ type: 'started' });
  }

  private beat(): void {
    this.channel.send({ type: 'heartbeat' });
    if (this.phase.name !== 'serving') return;
    for (const share of this.phase.edge.spent()) this.channel.send({ type: 'spent', ...share });
  }

  private onMessage(message: ToEdge, handle: unknown): void {
    switch (message.type) {
      case 'configure':
        this.configure(message.config, message.tls);
        return;
      case 'listen':
        void this.listen(message.key, message.address, handle);
        return;
      case 'drain':
        this.drain(message.deadlineMs);
        return;
      default:
        if (this.phase.name !== 'started' && this.phase.edge !== null)
          this.tell(this.phase.edge, message);
    }
  }

  private tell(
    edge: Edge,
    message: Exclude<ToEdge, { type: 'configure' | 'listen' | 'drain' }>,
  ): void {
    switch (message.type) {
      case 'unlisten':
        edge.unlisten(message.key);
        return;
      case 'ticket-keys': {
        const [current, former = null] = message.keys.map((key) => Buffer.from(key, 'base64'));
        if (current !== undefined) edge.certificates.setTicketKeys({ current, former });
        return;
      }
      case 'admit':
        edge.pools.admit(message.worker);
        return;
      case 'withdraw': {
        const { workerId } = message;
        // What was sent in this turn goes to the kernel at its end. Told before, the arbiter could
        // ask the worker to drain before the worker has the requests.
        edge.withdraw(workerId, () =>
          setImmediate(() => this.channel.send({ type: 'withdrawn', workerId })),
        );
        return;
      }
      case 'gone':
        edge.gone(message.workerId);
        return;
      case 'no-workers':
        edge.pools.refuse(failure('SHUTTING_DOWN', 'no worker is left'));
        return;
      case 'reopen-logs':
        this.log.reopen();
        edge.reopenLogs();
        return;
      case 'certificates':
        edge.useCertificates(message.tls);
        return;
      case 'purge': {
        const { askId, what } = message;
        this.channel.send({ type: 'purged', askId, responses: edge.purge(what) });
        return;
      }
      case 'report':
        this.channel.send({ type: 'status', askId: message.askId, status: edge.status() });
        return;
      default:
        throw new Error(`unknown message ${JSON.stringify(message satisfies never)}`);
    }
  }

  private configure(config: Config, tls: TlsFiles): void {
    if (this.phase.name === 'draining') return;
    const isFirst = this.phase.name === 'started';
    try {
      // Everything that can fail comes first: what is refused leaves no trace.
      const useLog = this.log.prepare(config, this.role);
      if (this.phase.name === 'started') {
        const edge = new Edge(config, tls, this.log);
        this.phase = { name: 'opening', edge, awaited: config.bind.length };
      } else this.phase.edge.configure(config, tls);
      useLog();
      const isNative = useNative(config.nativeIo);
      this.log.debug(isNative ? 'writes past Node’s streams' : 'writes through Node’s streams');
      // One says it for all.
      if (isFirst && this.role === 'edge 1') watchExpiry(this.log, this.phase.edge.certificates);
    } catch (error) {
      this.channel.send({ type: 'refused', reason: messageOf(error) });
      return;
    }
    this.gracefulTimeoutMs = config.gracefulTimeoutMs;
    if (this.phase.name === 'serving' || this.phase.awaited === 0)
      this.becomeReady(this.phase.edge);
    // Beside the serving: a large build on a slow disk must not keep the edge from being ready.
    this.builds?.keep(config);
  }

  private async listen(key: string, address: BindAddress, handle: unknown): Promise<void> {
    if (this.phase.name !== 'opening' && this.phase.name !== 'serving') return;
    try {
      await this.phase.edge.listen(key, address, handle);
    } catch (error) {
      const reason = `cannot listen on ${key}: ${messageOf(error)}`;
      this.log.error(reason);
      this.channel.send({ type: 'refused', reason });
      return;
    }
    const { phase } = this;
    if (phase.name !== 'opening') return;
    this.phase = { ...phase, awaited: phase.awaited - 1 };
    if (this.phase.awaited === 0) this.becomeReady(phase.edge);
  }

  private becomeReady(edge: Edge): void {
    this.phase = { name: 'serving', edge };
    this.channel.send({ type: 'ready' });
  }

  /** Stops accepting, finishes what is open, leaves. Later calls don't prolong it, and 0 ends it. */
  private drain(deadlineMs: number): void {
    const { phase } = this;
    if (phase.name === 'draining' && deadlineMs > 0) return;
    const edge = phase.name === 'started' ? null : phase.edge;
    this.phase = { name: 'draining', edge };
    const drained = edge === null ? Promise.resolve() : edge.drain(deadlineMs);
    void Promise.race([drained, sleep(deadlineMs + lastWordsMs)])
      .catch((error: unknown) => this.log.error('the drain failed', { error }))
      .finally(() => process.exit(0));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
