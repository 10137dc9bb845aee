// The step of the edge that finds a request's route and does what it says.

import type { Config } from '../../config/config.ts';
import { failure } from '../../errors/failure.ts';
import type { Exchange, RequestHead } from '../../http/exchange.ts';
import type { CompiledRules } from '../../http/header-rules.ts';
import type { RouteStatus } from '../../ipc/messages.ts';
import {
  type Asker,
  onwardTarget,
  prefixOf,
  redirectPlace,
  withPath,
} from '../../routing/onward.ts';
import {
  type Candidate,
  compileRoutes,
  findRoute,
  type RouteTable,
} from '../../routing/route-table.ts';
import { respondWithError } from '../error-pages/error-answer.ts';
import type { ErrorPages } from '../error-pages/error-pages.ts';
import { answerWith } from '../own-answer.ts';
import { answerPreflight, corsRules } from './cors.ts';
import { isGrpc, refuseGrpc } from './grpc.ts';
import type { Lane, Lanes } from './lanes.ts';
import { PasswordCheck, type Verdict } from './password-check.ts';
import { type Act, type Prepared, prepareRoute } from './prepared.ts';

/** How a request goes on. One for all requests of a route and path, so that what was made by it can
 *  be kept. */
export interface Way {
  /** What its path lost; '' for nothing. */
  readonly prefix: string;
  /** What is changed of its fields. */
  readonly rules: CompiledRules | null;
  /** Null = static files, then the app. */
  readonly lane: Lane | null;
}

export interface RoutesParts {
  /** The way of a request that no route takes. */
  readonly unrouted: Way;
  readonly lanes: Lanes;
  readonly errorPages: ErrorPages;
}

export class Routes {
  private readonly table: RouteTable;
  private readonly prepared: readonly Prepared[];
  /** That any route names. */
  private readonly methods: readonly string[];
  private readonly ways = new WeakMap<Candidate, Way>();
  private readonly unrouted: Way;
  private readonly lanes: Lanes;
  private readonly passwords = new PasswordCheck();
  private readonly errorPages: ErrorPages;

  constructor({ routes }: Pick<Config, 'routes'>, { unrouted, lanes, errorPages }: RoutesParts) {
    this.unrouted = unrouted;
    this.lanes = lanes;
    this.table = compileRoutes(routes);
    this.prepared = routes.map((route) => prepareRoute(route, this.passwords));
    this.methods = [...new Set(routes.flatMap(({ match }) => match.methods))];
    this.errorPages = errorPages;
  }

  /** Answers the exchange (null), or says what way it goes on; later where a password is to be checked. */
  take(exchange: Exchange): Way | null | Promise<Way | null> {
    const found = findRoute(this.table, exchange.request);
    if ('code' in found) {
      exchange.fail(found);
      return null;
    }
    const { candidate, canonical } = found;
    if (canonical !== null) useTarget(exchange, withPath(exchange.request.target, canonical));
    if (candidate === null) return this.unrouted;
    const prepared = this.prepared[candidate.index]!;
    const { cors, responseRules, route } = prepared;
    prepared.requests++;
    exchange.record.route = route.name;
    if (responseRules !== null)
      exchange.responseRules =
        cors === null ? responseRules : corsRules(cors, responseRules, exchange.request.fields);
    if (prepared.lets?.(exchange.client.address) === false) return this.refuse(exchange, prepared);
    if (cors !== null) {
      const answered = answerPreflight(cors, exchange);
      if (answered === null) return this.refuse(exchange, prepared);
      if (answered) return null;
    }
    if (prepared.auth === null) return this.act(exchange, candidate, prepared);
    return this.identify(exchange, candidate, prepared);
  }

  private identify(exchange: Exchange, candidate: Candidate, prepared: Prepared) {
    const { auth } = prepared;
    const verdict = auth!.check(exchange);
    const decide = (fits: Verdict | null): Way | null => {
      if (fits === true) return this.act(exchange, candidate, prepared);
      prepared.refused++;
      exchange.record.upstream = 'route';
      if (fits === 'busy') exchange.fail(failure('PASSWORDS_BUSY'));
      else {
        // A first request without is how it begins; a wrong one is an event.
        if (fits === false)
          exchange.record.failure = failure('UNAUTHORIZED', 'a wrong name or password');
        respondWithError(exchange, 'UNAUTHORIZED', this.errorPages, auth!.challenge);
      }
      return null;
    };
    return verdict instanceof Promise ? verdict.then(decide) : decide(verdict);
  }

  close(): void {
    this.passwords.close();
  }

  /** Methods by which a route would take the request, where it has none by its own. */
  methodsFor(request: RequestHead): string[] {
    return this.methods.filter((method) => {
      const found = findRoute(this.table, { ...request, method });
      return !('code' in found) && found.candidate !== null;
    });
  }

  status(): RouteStatus[] {
    return this.prepared.map(({ route: { name }, requests, refused }) => ({
      name,
      requests,
      refused,
    }));
  }

  private refuse(exchange: Exchange, prepared: Prepared): null {
    prepared.refused++;
    exchange.record.upstream = 'route';
    respondWithError(exchange, 'FORBIDDEN', this.errorPages);
    return null;
  }

  private act(exchange: Exchange, candidate: Candidate, prepared: Prepared): Way | null {
    const { act, rewrite, route } = prepared;
    switch (act.kind) {
      case 'onward':
        if (route.to.kind === 'upstream' && isGrpc(exchange.request)) return refuseGrpc(exchange);
        if (rewrite !== null || route.strip !== null)
          useTarget(exchange, onwardTarget(askerOf(exchange), candidate, rewrite));
        return this.wayOf(candidate, prepared);
      case 'redirect':
        redirect(exchange, act, candidate);
        return null;
      case 'respond':
        exchange.record.upstream = 'route';
        answerWith(exchange, act.status, [...act.fields], act.content);
        return null;
    }
  }

  private wayOf(candidate: Candidate, { requestRules: rules, route }: Prepared): Way {
    const known = this.ways.get(candidate);
    if (known !== undefined) return known;
    const prefix = prefixOf(candidate);
    const lane = this.lanes.laneOf(route);
    const isPlain = prefix === '' && rules === null && lane === null;
    const way = isPlain ? this.unrouted : { prefix, rules, lane };
    this.ways.set(candidate, way);
    return way;
  }
}

function useTarget(exchange: Exchange, target: string): void {
  exchange.request = { ...exchange.request, target };
}

function askerOf({ request, client }: Exchange): Asker {
  return { request, scheme: client.scheme };
}

function redirect(
  exchange: Exchange,
  { status, location }: Extract<Act, { kind: 'redirect' }>,
  candidate: Candidate,
): void {
  const place = redirectPlace(askerOf(exchange), candidate, location);
  if (place === null) {
    exchange.fail(failure('BAD_HOST', 'without Host there is nowhere to redirect to'));
    return;
  }
  exchange.record.upstream = 'route';
  answerWith(exchange, status, ['Location', place]);
}
