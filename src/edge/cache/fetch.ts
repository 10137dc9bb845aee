// One request to the app on behalf of several clients, or of none: the exchange that the app's side
// answers. The answer is taken down while it streams to the client that came first; the others wait
// until it is whole.
//
//   head ─┬─ may be stored ──▶ filling ─┬─ whole ──▶ over: stored, those who wait get it
//         │                             └─ too large ─┐
//         ├─ may not ─────────────────────────────────┴▶ streaming ──▶ over: those who wait are let go
//         └─ 304, or an error that a stored response stands in for ──▶ over

import { type Failure, failure } from '../../errors/failure.ts';
import type {
  ClientFacts,
  Exchange,
  ExchangeHandler,
  ExchangeRecord,
  Fields,
  RequestHead,
} from '../../http/exchange.ts';
import { fieldValue } from '../../http/fields.ts';
import { decimal } from '../../http/head-facts.ts';
import type { ResponseStep } from '../response-step.ts';
import { clientHasIt, type Entry, notModifiedFields, splitTags } from './entry.ts';
import { isServerError, type Judgement } from './policy.ts';
import { Recorder } from './recorder.ts';
import { type Forwarded, forwardedStatus } from './status-field.ts';
import type { Visit } from './visit.ts';

/** A response that may be stored, as far as its head says. */
export interface Candidate {
  readonly status: number;
  readonly reason: string;
  readonly fields: Fields;
  readonly tags: readonly string[];
  readonly judgement: Extract<Judgement, { store: true }>;
}

/** What the cache does for a fetch. */
export interface FetchOwner {
  /** Content that may still be taken down, for all fetches together. */
  roomFor(bytes: number): boolean;
  entryBytesMax(): number;
  judge(fetch: Fetch, status: number, fields: Fields): Judgement;
  /** The answer is whole: keep it and serve those who wait. */
  stored(fetch: Fetch, candidate: Candidate, body: Buffer): void;
  /** The app says that the stored response still holds. */
  validated(fetch: Fetch, stale: Entry, fields: Fields): void;
  /** The app failed; null = nothing stands in. `status` 0: no answer at all. */
  standIn(fetch: Fetch, status: number): boolean;
  /** The answer is not for those who wait. */
  release(fetch: Fetch, why: 'unstorable' | 'broken', reason: Failure | null): void;
  /** One who waited waits no more. */
  unfollowed(): void;
  /** No client streams the fetch any more, and it goes on. */
  leaderless(): void;
  /** The fetch is over, however. */
  forget(fetch: Fetch): void;
}

export interface FetchPlan {
  readonly key: string;
  /** Under which others find it while it runs; '' = nobody waits for it. */
  readonly flightKey: string;
  readonly request: RequestHead;
  readonly client: ClientFacts;
  readonly requestId: string;
  readonly record: ExchangeRecord;
  /** The request that it is made for, whoever waits for it. */
  readonly origin: Visit;
  /** The client the answer streams to; null = a refresh behind the clients' backs. */
  readonly leader: Visit | null;
  /** What is there already, to be validated or to stand in. */
  readonly stale: Entry | null;
  readonly fwd: Forwarded;
  /** The clients' own conditions were taken out: this side answers them. */
  readonly answersConditions: boolean;
}

/** First of the steps of a response: a file that an app names (X-Accel-Redirect, X-Sendfile) is for
 *  whom the app checked, and its Cache-Control that of the mount. It is not stored. */
export const lookForHandover: ResponseStep = (exchange, _status, fields) => {
  if (exchange instanceof Fetch)
    exchange.isHandedOver =
      fieldValue(fields, 'x-accel-redirect') !== undefined ||
      fieldValue(fields, 'x-sendfile') !== undefined;
  return null;
};

/** For a step that answers by itself, and for this request alone. */
export function keepOut(exchange: Exchange): void {
  if (exchange instanceof Fetch) exchange.isHandedOver = true;
}

export class Fetch implements Exchange {
  request: RequestHead;
  client: ClientFacts;
  requestId: string;
  readonly record: ExchangeRecord;
  readonly bodyLength = 0;
  readonly expectsContinue = false;

  readonly plan: FetchPlan;
  leader: Visit | null;
  readonly followers = new Set<Visit>();
  /** The edge answers in the app's place: a file, or an error page. */
  isHandedOver = false;
  /** A purge came: the answer may be from before it. */
  isBarred = false;
  /** When it was last known that a client streams it. */
  leaderlessSinceMs = 0;
  /** Taken by what is being recorded. */
  get fillingBytes(): number {
    return this.recorder?.capacity ?? 0;
  }

  /** For the store alone, if need be. */
  private goesOn: boolean;
  private readonly owner: FetchOwner;
  private handler: ExchangeHandler | null = null;
  private phase: 'head' | 'filling' | 'streaming' | 'over' = 'head';
  private candidate: Candidate | null = null;
  private recorder: Recorder | null = null;
  /** Content-Length of the answer; -1 = does not say. */
  private declared = -1;

  constructor(owner: FetchOwner, plan: FetchPlan) {
    this.owner = owner;
    this.plan = plan;
    this.request = plan.request;
    this.client = plan.client;
    this.requestId = plan.requestId;
    this.record = plan.record;
    this.leader = plan.leader;
    this.goesOn = plan.leader === null;
  }

  get isOver(): boolean {
    return this.phase === 'over';
  }

  // ── from the clients

  /** A client that led or waited is gone. Without anyone left the app need not go on. */
  left(visit: Visit): void {
    if (this.followers.delete(visit)) this.owner.unfollowed();
    if (this.leader === visit) this.leaderLeft();
    const isWanted = this.goesOn || this.leader !== null || this.followers.size > 0;
    if (!isWanted || (this.phase === 'streaming' && this.leader === null)) this.cancel();
  }

  drained(): void {
    if (this.phase === 'streaming') this.handler?.onDrain();
  }

  private leaderLeft(): void {
    this.leader = null;
    this.leaderlessSinceMs = performance.now();
    this.owner.leaderless();
  }

  cancel(): void {
    this.finish(failure('CLIENT_LEFT', 'nobody waits for the answer any more'));
  }

  // ── from the app's side

  attach(handler: ExchangeHandler): void {
    this.handler = handler;
    if (this.phase === 'over') handler.onClose(null);
    else handler.onRequestEnd([]);
  }

  consumed(): void {}

  inform(status: number, fields: Fields): void {
    this.leader?.exchange.inform(status, fields);
  }

  respond(status: number, reason: string, allFields: Fields): void {
    if (this.phase !== 'head') return;
    const { stale } = this.plan;
    if (isServerError(status) && this.owner.standIn(this, status)) {
      this.finish(failure('CLIENT_LEFT', 'a stored response stands in'));
      return;
    }
    const { fields, tags } = splitTags(allFields);
    if (status === 304 && stale !== null && this.plan.answersConditions) {
      this.owner.validated(this, stale, fields);
      this.finish(null);
      return;
    }
    const length = fieldValue(fields, 'content-length');
    this.declared = length === undefined ? -1 : decimal(length);
    // What is no length is the exchange's to refuse; nothing is measured by it.
    const isMalformed = length !== undefined && this.declared === -1;
    const judgement = this.owner.judge(this, status, fields);
    const mayFit = !isMalformed && this.declared <= this.owner.entryBytesMax();
    const willStore = judgement.store && mayFit && this.owner.roomFor(Math.max(0, this.declared));
    if (willStore) {
      this.phase = 'filling';
      this.candidate = { status, reason, fields, tags, judgement };
      const expected = this.declared === -1 ? null : this.declared;
      this.recorder = new Recorder(expected, this.owner.entryBytesMax());
    } else this.stream();
    this.respondToLeader(status, reason, fields, willStore);
  }

  write(chunk: Uint8Array): boolean {
    const { recorder } = this;
    if (recorder !== null) {
      const grows = recorder.length + chunk.length > recorder.capacity;
      const isIn = (!grows || this.owner.roomFor(chunk.length)) && recorder.add(chunk);
      if (!isIn) this.stream();
    }
    if (this.phase !== 'filling' && this.phase !== 'streaming') return true;
    const hasRoom = this.leader?.exchange.write(chunk) ?? true;
    // While it is taken down the app is not held up by a slow client: what waits for that client is
    // at most one entry.
    return this.phase === 'filling' || hasRoom;
  }

  end(trailers: Fields): void {
    if (this.phase === 'over') return;
    const { candidate, recorder, leader } = this;
    const isFilled = this.phase === 'filling' && candidate !== null && recorder !== null;
    this.leader = null;
    if (isFilled && (this.declared === -1 || this.declared === recorder.length)) {
      // Before the leader's end: whoever asks after having seen it finds the response stored.
      this.owner.stored(this, candidate, recorder.finish());
    } else if (isFilled) this.owner.release(this, 'broken', null);
    leader?.exchange.end(trailers);
    this.finish(null);
  }

  fail(reason: Failure): void {
    if (this.phase === 'over') return;
    if (this.phase === 'head' && this.owner.standIn(this, 0)) {
      this.finish(reason);
      return;
    }
    const { leader } = this;
    this.leader = null;
    this.owner.release(this, 'broken', reason);
    leader?.exchange.fail(reason);
    this.finish(reason);
  }

  // ── within

  /** The answer is for the leader alone, at its pace. */
  private stream(): void {
    this.phase = 'streaming';
    this.candidate = null;
    this.recorder = null;
    this.owner.release(this, 'unstorable', null);
    if (this.leader === null) this.cancel();
  }

  private respondToLeader(status: number, reason: string, fields: Fields, stored: boolean): void {
    const { leader, plan } = this;
    if (leader === null) return;
    const field = forwardedStatus({
      fwd: plan.fwd,
      ...(plan.stale === null ? {} : { fwdStatus: status }),
      ...(stored ? { stored } : {}),
      ...(leader.waits > 0 ? { collapsed: false } : {}),
    });
    const all = [...fields, 'Cache-Status', field];
    const validators = {
      etag: fieldValue(fields, 'etag') ?? null,
      lastModified: fieldValue(fields, 'last-modified') ?? null,
    };
    const { exchange, wants } = leader;
    if (!plan.answersConditions || status !== 200 || !clientHasIt(wants, validators)) {
      exchange.respond(status, reason, all);
      return;
    }
    this.leaderLeft();
    this.goesOn = stored;
    exchange.respond(304, '', notModifiedFields(all));
    exchange.end([]);
  }

  private finish(reason: Failure | null): void {
    if (this.phase === 'over') return;
    this.phase = 'over';
    this.recorder = null;
    this.leader = null;
    this.owner.forget(this);
    this.handler?.onClose(reason);
  }
}
