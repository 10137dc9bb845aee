// The lines of `portico status` about HTTP upstreams and routes: all edges added up.

import type { Status } from '../arbiter/control/protocol.ts';

type EdgeStatus = NonNullable<Status['edges'][number]['status']>;
type Member = EdgeStatus['upstreams'][number]['members'][number];

/** Routes that refuse are what somebody looks for; all others would be many lines. */
const ROUTES_MAX = 10;

export function upstreamLines(edges: readonly EdgeStatus[]): string[] {
  const lines: string[] = [];
  for (const { name } of edges[0]?.upstreams ?? []) {
    const same = edges.flatMap(({ upstreams }) => upstreams.filter((one) => one.name === name));
    const queued = same.reduce((sum, one) => sum + one.queued, 0);
    lines.push(`  upstream ${name}${queued === 0 ? '' : `: ${queued} queued`}`);
    const addresses = new Set(same.flatMap(({ members }) => members.map((one) => one.address)));
    if (addresses.size === 0) lines.push('    no address');
    for (const address of addresses)
      lines.push(
        memberLine(same.flatMap(({ members }) => members).filter((one) => one.address === address)),
      );
  }
  return lines;
}

/** One address as each edge sees it. */
function memberLine(seen: readonly Member[]): string {
  const sum = (of: (member: Member) => number) => seen.reduce((total, one) => total + of(one), 0);
  const worst = seen.find(({ state }) => state !== 'up') ?? seen[0]!;
  const numbers = `${sum((one) => one.inFlight)} in flight, ${sum((one) => one.served)} served`;
  const failures = sum((one) => one.failures);
  const failed = failures === 0 ? '' : `, ${failures} failed`;
  const why = worst.state === 'up' || worst.lastFailure === null ? '' : ` (${worst.lastFailure})`;
  return `    ${worst.address}: ${worst.state}, ${numbers}${failed}${why}`;
}

export function routeLines(edges: readonly EdgeStatus[]): string[] {
  const refused = (edges[0]?.routes ?? [])
    .map(({ name }) => {
      const same = edges.flatMap(({ routes }) => routes.filter((one) => one.name === name));
      const sum = (key: 'requests' | 'refused') => same.reduce((total, one) => total + one[key], 0);
      return { name, requests: sum('requests'), refused: sum('refused') };
    })
    .filter((route) => route.refused > 0);
  return refused
    .slice(0, ROUTES_MAX)
    .map((one) => `  route ${one.name}: ${one.refused} of ${one.requests} requests refused`);
}
