// What a route is once it is read: which requests it takes, and what becomes of them. Plain data.

import type { HeaderRules } from '../../http/header-rules.ts';
import type { UpstreamConfig } from '../upstream-config.ts';

/** The first route that takes a request has it; what none takes goes on to static files and the app. */
export interface RouteConfig {
  /** In the log and in `portico routes`; no two routes have the same. */
  readonly name: string;
  readonly match: RouteMatch;
  readonly to: RouteTarget;
  /** Segments that the path loses before it goes on; 'path': those that all paths of its rule have. */
  readonly strip: number | 'path' | null;
  /** The path, and perhaps the query, that it goes on with: a template. Never together with strip. */
  readonly rewrite: string | null;
  /** Of what goes on. */
  readonly requestHeaders: HeaderRules;
  /** Of every answer, whoever gives it. */
  readonly responseHeaders: HeaderRules;
  /** Addresses, CIDR blocks, "unix", "*": who is in none is refused; none = all are let in. */
  readonly allow: readonly string[];
  /** Wins over allow. */
  readonly deny: readonly string[];
  readonly cors: CorsConfig | null;
  readonly auth: AuthConfig | null;
}

/** Basic authentication (RFC 7617). */
export interface AuthConfig {
  /** Names and hashes, bcrypt's or Argon2's. */
  readonly passwords: readonly (readonly [string, string])[];
  /** Absolute path of a file with more of them, as htpasswd -B writes it. */
  readonly file: string | null;
  /** What the client is told that the password is for. */
  readonly realm: string;
}

/** Which pages may ask (Fetch standard, section 3.2). */
export interface CorsConfig {
  /** In lower case: "*", "https://example.com", "https://*.example.com". */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** That a page may send; "*" = any. */
  readonly headers: readonly string[];
  /** That a page may read beside the usual ones. */
  readonly expose: readonly string[];
  /** Cookies and the like are sent along. */
  readonly credentials: boolean;
  /** How long a browser remembers what it was told. */
  readonly maxAgeSeconds: number;
}

/** All that is said must hold; an empty list says nothing. */
export interface RouteMatch {
  /** In lower case, without port or final dot: "example.com", "*.example.com", "10.0.0.1", "[::1]". */
  readonly hosts: readonly string[];
  readonly paths: readonly RoutePath[];
  /** GET stands for HEAD as well. */
  readonly methods: readonly string[];
  readonly headers: readonly HeaderCondition[];
}

/** exact: this path; prefix: it and all below; pattern: segments, of which ":name" and "*" stand for
 *  any. Decoded, as the path of a request is when it is compared. */
export interface RoutePath {
  readonly kind: 'exact' | 'prefix' | 'pattern';
  /** Begins with "/"; a prefix but "/" does not end in it. */
  readonly text: string;
}

/** `values`: one of these, where a "*" stands for anything; null: whatever it is, so long as it is there. */
export interface HeaderCondition {
  /** In lower case. */
  readonly name: string;
  readonly values: readonly string[] | null;
  /** The header is not to be there. */
  readonly absent: boolean;
}

export type RouteTarget =
  /** Static files, then the app, as for requests that no route takes. */
  | { readonly kind: 'app' }
  /** One of several apps, whose name it is; without static files before it. */
  | { readonly kind: 'named-app'; readonly name: string }
  /** An HTTP server that somebody else runs. */
  | { readonly kind: 'upstream'; readonly upstream: UpstreamConfig }
  | { readonly kind: 'redirect'; readonly location: string; readonly status: number }
  | {
      readonly kind: 'respond';
      readonly status: number;
      readonly body: string;
      /** Names and values in turn. */
      readonly headers: readonly string[];
    };
