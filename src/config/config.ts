// The settings as the program uses them: loaded once, complete, frozen. The table in settings.ts
// says where each comes from, what it may be and what it means.

import type { RouteConfig } from './routes/route-config.ts';

/** http: a Node app over plain HTTP/1.1; wsgi, asgi: a Python app under a server of its own; command: any
 *  program that serves HTTP. */
export type WorkerClass = 'async' | 'sync' | 'threads' | 'http' | 'wsgi' | 'asgi' | 'command';
/** Whether its workers are programs of another make than Portico's own. */
export function isProgram(workerClass: WorkerClass): boolean {
  return workerClass === 'wsgi' || workerClass === 'asgi' || workerClass === 'command';
}

export type PythonServer =
  | 'auto'
  | 'gunicorn'
  | 'waitress'
  | 'uwsgi'
  | 'uvicorn'
  | 'hypercorn'
  | 'granian';
/** Name of the app of the top-level settings. */
export const topApp = 'app';
export type ContentEncoding = 'zstd' | 'gzip' | 'br';
export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'critical';

/** `tls`: connections begin with a TLS handshake; over a Unix socket never. */
export type BindAddress =
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      readonly tls: boolean;
      /** Bound by who started us: its descriptor. */
      readonly fd?: number;
    }
  | { readonly kind: 'unix'; readonly path: string; readonly tls: false; readonly fd?: number }
  /** A socket that who started us passes on, by number or name; arbiter/listen-fds.ts puts its address here. */
  | { readonly kind: 'fd'; readonly name: string; readonly tls: boolean };

/** A certificate chain and its key, as files. */
export interface CertificateFiles {
  /** Absolute. PEM with the leaf first, or PKCS#12. */
  readonly cert: string;
  /** Absolute; null = the key is in the same file. */
  readonly key: string | null;
  /** Of the key, or of the PKCS#12 file. */
  readonly passphrase: string | null;
  /** Names to serve it for, "*.example.com" among them; empty = those in the certificate. */
  readonly hosts: readonly string[];
}

export interface TlsTable {
  /** A certificate of a local CA, for development. */
  readonly dev: boolean;
  /** Names and addresses it is to be for, beside localhost and the machine's own. */
  readonly devHosts: readonly string[];
  readonly certificates: readonly CertificateFiles[];
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

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

/** What an app may set for itself; all else is the same for all. */
export const appFields = [
  'module',
  'export',
  'chdir',
  'env',
  'preload',
  'workers',
  'workerClass',
  'threads',
  'command',
  'python',
  'pythonServer',
  'workerConnections',
  'maxRequests',
  'maxRequestsJitter',
  'timeoutMs',
  'hangStack',
  'gracefulTimeoutMs',
] as const satisfies readonly (keyof Config)[];

/** Its own part of the settings. */
export type AppOwn = Pick<Config, (typeof appFields)[number]>;

/** An app with a name, its workers and what they are started with. */
export type AppConfig = { readonly name: string } & AppOwn;

/** What the arbiter, the edge and the workers are told. Plain data: it travels as JSON. */
export interface Config {
  // The app
  /** File or package; of Python a module; of class command the program; null only where no app is needed. */
  readonly module: string | null;
  /** Name of the export; null = try the usual ones. */
  readonly export: string | null;
  /** Absolute working directory of the app. */
  readonly chdir: string;
  readonly env: Readonly<Record<string, string>>;
  /** Those with a name of their own; see appsOf(). */
  readonly apps: readonly AppConfig[];
  readonly preload: boolean;
  readonly reload: boolean;

  // Sockets
  readonly bind: readonly BindAddress[];
  /** Connections the kernel queues (listen(2)). */
  readonly backlog: number;

  // TLS and HTTP/2
  /** Absolute path of the chain in PEM, or of a PKCS#12 file. */
  readonly certfile: string | null;
  /** Absolute; null = the key is in certfile. */
  readonly keyfile: string | null;
  readonly keyfilePassword: string | null;
  /** Certificates beside certfile's. */
  readonly tls: TlsTable;
  /** Absolute path of the CA certificates that clients' certificates are checked against. */
  readonly caCerts: string | null;
  readonly certReqs: 'none' | 'optional' | 'required';
  /** Cipher list as OpenSSL writes it; null = Portico's own. */
  readonly ciphers: string | null;
  readonly tlsMinVersion: TlsVersion;
  /** What a client gets that asks for a name no certificate has. */
  readonly tlsUnknownName: 'default' | 'refuse';
  readonly tlsHandshakeTimeoutMs: number;
  /** Under way at a time, in each edge. */
  readonly tlsHandshakesMax: number;
  readonly ocspStapling: boolean;
  readonly redirectHttps: 'off' | '301' | '308';
  /** null = that of the first https:// bind. */
  readonly redirectHttpsPort: number | null;
  /** Value of Strict-Transport-Security; null = it is not sent. */
  readonly hsts: string | null;
  /** Offer HTTP/2 to TLS clients. */
  readonly http2: boolean;
  /** HTTP/2 without TLS, where the client begins with it. */
  readonly h2c: boolean;
  readonly http2MaxConcurrentStreams: number;

  // Certificates by ACME
  /** Host names in lower case, each once; none = ACME is off. */
  readonly acme: readonly string[];
  readonly acmeEmail: string | null;
  /** https URL; null = Let's Encrypt. */
  readonly acmeDirectory: string | null;
  readonly acmeStaging: boolean;
  /** Absolute. */
  readonly acmeStorage: string;
  readonly acmeChallenges: readonly ('http-01' | 'tls-alpn-01')[];
  readonly acmeProfile: string | null;
  readonly acmeEabKid: string | null;
  /** Base64url. */
  readonly acmeEabHmacKey: string | null;
  /** Absolute path of roots beside the usual ones, for the CA's own server. */
  readonly acmeCaFile: string | null;

  // Processes
  readonly workers: number;
  readonly workerClass: WorkerClass;
  readonly threads: number;
  /** Program and arguments of class command; null = there is none. */
  readonly command: readonly string[] | null;
  /** Absolute, or a name in PATH; null = the first that is found. */
  readonly python: string | null;
  readonly pythonServer: PythonServer;
  readonly edges: number;
  /** Most requests one worker process works on at a time; 1 for sync, as many as threads for wsgi. */
  readonly workerConnections: number;
  readonly workerScheduling: 'batch' | 'normal';
  readonly nativeIo: boolean;
  readonly maxRequests: number;
  readonly maxRequestsJitter: number;
  readonly timeoutMs: number;
  readonly hangStack: boolean;
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
  /** Connections from proxyAllowFrom begin with the PROXY protocol. */
  readonly proxyProtocol: boolean;
  readonly proxyAllowFrom: readonly string[];
  /** Also send Forwarded (RFC 7239). */
  readonly forwarded: boolean;

  // Balancing
  readonly queueSize: number;
  readonly queueTimeoutMs: number;
  /** 0 = no limit. */
  readonly responseTimeoutMs: number;
  /** Which requests of a client go to the same worker: Socket.IO's (auto), or all, by address or cookie. */
  readonly sticky: 'off' | 'auto' | 'ip' | 'cookie';
  /** Open at a time, in each edge. */
  readonly upgradeConnections: number;
  /** 0 = no limit. */
  readonly upgradeIdleTimeoutMs: number;
  readonly upgradeGraceMs: number;
  readonly healthEndpoints: boolean;
  readonly readyWorkers: number;

  // Routing
  /** In order: the first that takes a request has it. */
  readonly routes: readonly RouteConfig[];

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
