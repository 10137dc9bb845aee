// The step of the edge that finds a request's route and does what it says.

import type { Config } from '../../config/config.ts';
import type { RouteConfig } from '../../config/routes/route-config.ts';
import { fillTemplate, parseTemplate, type Template } from '../../config/routes/template.ts';
import { failure } from '../../errors/failure.ts';
import type { Exchange } from '../../http/exchange.ts';
import {
  type Candidate,
  compileRoutes,
  findRoute,
  type RouteTable,
} from '../../routing/route-table.ts';
import { answerWith } from './answer.ts';
import { changePath, templateValues, usePath } from './path.ts';

/** What a route's target is once it is made ready; by the route's place. */
type Act =
  | { readonly kind: 'app' }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: Template }
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly fields: readonly string[];
      readonly content: Uint8Array;
    };

/** How a request goes on. */
export interface Way {
  /** What its path lost; '' for nothing. */
  readonly prefix: string;
}

/** That of a request which no route takes. */
export const plainWay: Way = { prefix: '' };

export class Routes {
  private readonly table: RouteTable;
  private readonly acts: readonly Act[];

  constructor({ routes }: Pick<Config, 'routes'>) {
    this.table = compileRoutes(routes);
    this.acts = routes.map(prepare);
  }

  /** Answers the exchange (null), or says what way it goes on. */
  take(exchange: Exchange): Way | null {
    const found = findRoute(this.table, exchange.request);
    if ('code' in found) {
      exchange.fail(found);
      return null;
    }
    const { candidate, canonical } = found;
    if (canonical !== null) usePath(exchange, canonical);
    if (candidate === null) return plainWay;
    exchange.record.route = candidate.route.name;
    const act = this.acts[candidate.index]!;
    switch (act.kind) {
      case 'app':
        return { prefix: changePath(exchange, candidate) };
      case 'redirect':
        redirect(exchange, act, candidate);
        return null;
      case 'respond':
        exchange.record.upstream = 'route';
        answerWith(exchange, act.status, [...act.fields], act.content);
        return null;
    }
  }
}

function prepare({ to }: RouteConfig): Act {
  switch (to.kind) {
    case 'app':
      return to;
    case 'redirect':
      return { kind: 'redirect', status: to.status, location: parseTemplate(to.location) };
    case 'respond': {
      const { kind, status, headers: fields, body } = to;
      return { kind, status, fields, content: Buffer.from(body) };
    }
  }
}

function redirect(
  exchange: Exchange,
  { status, location }: Extract<Act, { kind: 'redirect' }>,
  candidate: Candidate,
): void {
  const values = templateValues(exchange, candidate);
  if (values.host === '' && location.includes('host')) {
    exchange.fail(failure('BAD_HOST', 'without Host there is nowhere to redirect to'));
    return;
  }
  exchange.record.upstream = 'route';
  answerWith(exchange, status, ['Location', fillTemplate(location, values)]);
}
