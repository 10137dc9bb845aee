// Says which route would take a request, what would become of it, and why those before it do not.

import type { Config } from '../../config/config.ts';
import { hasApp } from '../../config/has-app.ts';
import type { RouteConfig } from '../../config/routes/route-config.ts';
import { showTarget } from '../../config/routes/routes.ts';
import { parseTemplate } from '../../config/routes/template.ts';
import { whyNot } from '../../routing/explain.ts';
import {
  type Asker,
  onwardTarget,
  prefixOf,
  redirectPlace,
  withPath,
} from '../../routing/onward.ts';
import { type Candidate, compileRoutes, findRoute } from '../../routing/route-table.ts';
import { printable, printableJson } from '../printable.ts';

interface Outcome {
  /** Null: none takes it. */
  readonly route: string | null;
  readonly to: string;
  /** Why each of those before does not. */
  readonly passed: readonly { readonly route: string; readonly because: string }[];
}

export function tryRequest(config: Config, asker: Asker, json: boolean): string {
  const found = findRoute(compileRoutes(config.routes), asker.request);
  if ('code' in found) {
    const { status, code, detail } = found;
    return json ? printableJson({ status, code, detail }) : `${status} ${code}: ${detail}\n`;
  }
  const { candidate, canonical } = found;
  const { request } = asker;
  const target = canonical === null ? request.target : withPath(request.target, canonical);
  const clear = { ...asker, request: { ...request, target } };
  const before = candidate === null ? config.routes : config.routes.slice(0, candidate.index);
  const outcome: Outcome = {
    route: candidate?.route.name ?? null,
    to: candidate === null ? restOf(config) : becomes(clear, candidate, request.target),
    passed: before.map((route) => ({ route: route.name, because: because(route, clear) })),
  };
  return json ? printableJson(outcome) : told(outcome);
}

function because(route: RouteConfig, { request }: Asker): string {
  // The table and the words ask the same conditions.
  return whyNot(route, request) ?? 'another route takes it';
}

/** `given`: the target as it came. */
function becomes(asker: Asker, candidate: Candidate, given: string): string {
  const { to, rewrite } = candidate.route;
  switch (to.kind) {
    case 'redirect': {
      const place = redirectPlace(asker, candidate, parseTemplate(to.location));
      return `${to.status} ${place ?? '(no host to redirect to)'}`;
    }
    case 'respond':
      return showTarget(to);
    default: {
      const target = onwardTarget(
        asker,
        candidate,
        rewrite === null ? null : parseTemplate(rewrite),
      );
      const prefix = prefixOf(candidate);
      const told = prefix === '' ? '' : `, with X-Forwarded-Prefix: ${prefix}`;
      const as = target === given ? '' : `, as ${target}`;
      return `${showTarget(to)}${as}${told}`;
    }
  }
}

function told({ route, to, passed }: Outcome): string {
  const width = Math.min(40, Math.max(0, ...passed.map(({ route: name }) => name.length)));
  const lines = passed.map(({ route: name, because: why }, at) =>
    printable(`${String(at + 1).padStart(4)}  ${name.padEnd(width)}  no: ${why}`),
  );
  const taken =
    route === null
      ? `      no route takes it: ${to}`
      : `${String(passed.length + 1).padStart(4)}  ${route.padEnd(width)}  yes: ${to}`;
  return `${[...lines, printable(taken)].join('\n')}\n`;
}

/** Who gets what no route takes. */
export function restOf(config: Config): string {
  const places = [
    ...(config.static.length > 0 ? ['static files'] : []),
    hasApp(config) ? 'app' : 'answer 404',
  ];
  return places.join(', then ');
}
