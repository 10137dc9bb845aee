// The settings as the program uses them: loaded once, complete, frozen. The table in settings.ts
// says where each comes from, what it may be and what it means.

export type WorkerClass = 'async' | 'sync' | 'threads';
export type ContentEncoding = 'zstd' | 'gzip' | 'br';
export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'critical';

export type BindAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** A directory whose files are served under a prefix. */
export interface StaticMount {
  /** Starts with "/"; matches whole path segments. */
  readonly prefix: string;
  /** Absolute. */
  readonly dir: string;
  /** Names of files that stand for their directory; the first that is there. */
  readonly index: readonly string[];
  /** Path in `dir` of the page for navigation to unknown paths; null = they are missing. */
  readonly fallback: string | null;
  /** What is no file is the app's. Never together with fallback. */
  readonly tryFiles: boolean;
  /** null = no Cache-Control, but for immutable files. */
  readonly maxAgeMs: number | null;
  /** auto: files with a hash in their name. */
  readonly immutable: 'auto' | 'always' | 'never';
  /** Names and values in turn; validated, and none that the file decides. */
  readonly headers: readonly string[];
  /** Names with a leading dot; /.well-known/ is served either way. */
  readonly dotfiles: 'refuse' | 'allow';
  /** Directories without an index are listed. */
  readonly listing: boolean;
  /** Only for X-Accel-Redirect and X-Sendfile of the app. */
  readonly internal: boolean;
  /** Earlier builds whose hashed assets stay available. */
  readonly keepBuilds: number;
}

/** What the arbiter, the edge and the workers are told. Plain data: it travels as JSON. */
export interface Config {
  // The app
  /** File or package; null only where the command needs no app. */
  readonly module: string | null;
  /** Name of the export; null = try the usual ones. */
  readonly export: string | null;
  /** Absolute working directory of the app. */
  readonly chdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly preload: boolean;
  readonly reload: boolean;

  // Sockets
  readonly bind: readonly BindAddress[];
  /** Connections the kernel queues (listen(2)). */
  readonly backlog: number;

  // Processes
  readonly workers: number;
  readonly workerClass: WorkerClass;
  readonly threads: number;
  readonly edges: number;
  /** Most requests one worker process works on at a time; 1 for sync. */
  readonly workerConnections: number;
  readonly maxRequests: number;
  readonly maxRequestsJitter: number;
  readonly timeoutMs: number;
  readonly gracefulTimeoutMs: number;
  readonly user: string | null;
  readonly group: string | null;
  readonly umask: number;
  readonly pid: string | null;
  /** Absolute; null = chosen by the arbiter. */
  readonly runtimeDir: string | null;

  // Connections at the edge
  readonly keepAliveMs: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly sendTimeoutMs: number;
  readonly limitRequestLineBytes: number;
  readonly limitRequestFields: number;
  readonly limitRequestFieldSizeBytes: number;
  /** 0 = no limit. */
  readonly limitRequestBodyBytes: number;
  readonly permitBareLf: boolean;
  /** Addresses, CIDR blocks, "unix", or "*". */
  readonly forwardedAllowIps: readonly string[];
  /** Also send Forwarded (RFC 7239). */
  readonly forwarded: boolean;

  // Balancing
  readonly queueSize: number;
  readonly queueTimeoutMs: number;
  /** 0 = no limit. */
  readonly responseTimeoutMs: number;

  // Static files
  readonly static: readonly StaticMount[];
  /** Memory for the contents of hot files; 0 = none are kept. */
  readonly staticCacheBytes: number;
  /** Absolute directory of the files of earlier builds. */
  readonly staticStore: string;

  // Response cache
  /** Memory for it; 0 = off. */
  readonly cacheBytes: number;
  readonly cacheEntryBytes: number;
  /** 0 = responses that don't say how long they are fresh are not kept. */
  readonly cacheDefaultTtlMs: number;
  /** Longest wait for the answer to another request. */
  readonly cacheWaitMs: number;
  /** Keep responses with Set-Cookie, without it. */
  readonly cacheSetCookie: boolean;

  // Errors
  /** Absolute paths by status, "404", or by class, "5xx". */
  readonly errorPages: Readonly<Record<string, string>>;
  readonly interceptErrors: boolean;

  // Compression of the app's responses
  readonly compress: boolean;
  /** Content that is known to be shorter is left alone. */
  readonly compressMinBytes: number;
  /** The favourite first; those that this Node lacks are passed over. */
  readonly compressEncodings: readonly ContentEncoding[];
  /** Media types beside the usual ones, in lower case. */
  readonly compressTypes: readonly string[];
  /** Most responses compressed in pieces at a time. */
  readonly compressStreams: number;
  /** Most bytes of random padding; 0 = none. */
  readonly compressPaddingBytes: number;

  // Logs
  readonly logLevel: LogLevel;
  readonly logFormat: 'text' | 'json';
  /** "-" = stdout; null = off. */
  readonly accessLogfile: string | null;
  /** Gunicorn's atoms, or "combined" or "json". */
  readonly accessLogformat: string;
  /** "-" = stderr. */
  readonly errorLogfile: string;
}
