// A route made ready to be carried out: what can be worked out before a request comes is.

import type { CorsConfig, RouteConfig } from '../../config/routes/route-config.ts';
import { parseTemplate, type Template } from '../../config/routes/template.ts';
import { type CompiledRules, compileRules } from '../../http/header-rules.ts';
import { createTrust, type Trust } from '../../http/trust.ts';
import { type Auth, createAuth } from './auth.ts';
import { corsFields } from './cors.ts';
import type { PasswordCheck } from './password-check.ts';

export type Act =
  | { readonly kind: 'onward' }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: Template }
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly fields: readonly string[];
      readonly content: Uint8Array;
    };

export interface Prepared {
  readonly route: RouteConfig;
  readonly act: Act;
  /** For every answer; null = they stay as they are. */
  readonly responseRules: CompiledRules | null;
  readonly requestRules: CompiledRules | null;
  readonly cors: CorsConfig | null;
  /** Null = nobody is kept out by address. */
  readonly lets: ((address: string) => boolean) | null;
  readonly auth: Auth | null;
  readonly rewrite: Template | null;
  requests: number;
  /** Of those: answered with 401 or 403, or not at all. */
  refused: number;
}

/** Throws where a file can't be used. */
export function prepareRoute(route: RouteConfig, passwords: PasswordCheck): Prepared {
  const { responseHeaders, requestHeaders, cors, allow, deny, auth, rewrite } = route;
  const remove =
    cors === null ? responseHeaders.remove : [...responseHeaders.remove, ...corsFields];
  return {
    route,
    act: prepareAct(route),
    responseRules: compileRules({ ...responseHeaders, remove }),
    requestRules: compileRules(requestHeaders),
    cors,
    lets: allow.length + deny.length === 0 ? null : gate(allow, deny),
    auth: auth === null ? null : createAuth(auth, passwords),
    rewrite: rewrite === null ? null : parseTemplate(rewrite),
    requests: 0,
    refused: 0,
  };
}

function gate(allow: readonly string[], deny: readonly string[]): (address: string) => boolean {
  const denied: Trust = createTrust(deny);
  const allowed: Trust = createTrust(allow.length === 0 ? ['*'] : allow);
  return (address) => !denied.trusts(address) && allowed.trusts(address);
}

function prepareAct({ to }: RouteConfig): Act {
  switch (to.kind) {
    case 'app':
    case 'named-app':
    case 'upstream':
      return { kind: 'onward' };
    case 'redirect':
      return { kind: 'redirect', status: to.status, location: parseTemplate(to.location) };
    case 'respond': {
      const { kind, status, headers: fields, body } = to;
      return { kind, status, fields, content: Buffer.from(body) };
    }
  }
}
