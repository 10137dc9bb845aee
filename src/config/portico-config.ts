// What a config file may hold. Made from settings.ts by `npm run docs`: do not edit.
// biome-ignore-all format: one line each, as they are made

export interface PorticoConfig {
  /** The app: file or package, and the name of its export. The argument of the command line. `MODULE` is a file (relative to `chdir`) or a package: ESM, CommonJS or TypeScript. `EXPORT` is a name, or a call with literal arguments: `create("production", 2)`. Without `:EXPORT`, the first of `default`, `app`, `application`, `server`, `handler` is taken. For `wsgi` and `asgi` it is a Python module and a name in it: `run:app`, `mysite.wsgi`. A file that is named like a command (`status`) is written `./status`. Default: `none`. */
  readonly app?: string | null | undefined;
  /** Working directory of the app; relative paths start here. All relative paths in settings start here. Itself it is relative to the config file that sets it, else to where Portico was started. Default: `.`. */
  readonly chdir?: string | undefined;
  /** Environment variable for the app; repeatable. Default: `none`. */
  readonly env?: string | readonly string[] | Readonly<Record<string, string | number | boolean>> | undefined;
  /** See that the app loads before workers are started. Gunicorn loads the app in the arbiter and forks. Node cannot fork, and the arbiter never runs app code. Default: `off`. */
  readonly preload?: boolean | undefined;
  /** Replace the workers when the app's files change. Default: `off`. */
  readonly reload?: boolean | undefined;
  /** HOST:PORT, :PORT, https://HOST:PORT or unix:PATH; repeatable. `HOST:PORT`, `[IPv6]:PORT`, `:PORT` or `unix:PATH`. `https://` before it makes TLS of it, see [TLS](tls.md); `http://` says what is so without it. `:PORT` listens on all IPv4 addresses. A host name is looked up once, at start. Port 0 takes a free port. When the environment has `PORT`, that is `0.0.0.0:$PORT`. `fd://3` is a socket that was passed on by who starts Portico, `fd://web` the one that systemd calls so, `https+fd://web` the same with TLS; see [systemd](systemd.md#sockets). Default: `127.0.0.1:8000`. */
  readonly bind?: string | readonly string[] | undefined;
  /** Connections the kernel queues for each socket. The kernel has a limit of its own: `net.core.somaxconn` on Linux. Default: `2048`. */
  readonly backlog?: number | undefined;
  /** More apps, each by a name, with workers of its own; repeatable. Each may have settings of its own: `app`, `chdir`, `env`, `preload`, `workers`, `workerClass`, `threads`, `command`, `python`, `pythonServer`, `workerConnections`, `maxRequests`, `maxRequestsJitter`, `timeout`, `hangStack`, `gracefulTimeout` (`module` is the same as `app`); what it leaves out is that of the top level. [Routes](routes.md) lead to it by `app:NAME`. Requests that no route takes go to the app of the top level, or without one to the first of these. See [several apps](apps.md#several-apps). Default: `none`. */
  readonly apps?: Readonly<Record<string, { readonly module?: string } & Pick<PorticoConfig, 'app' | 'chdir' | 'env' | 'preload' | 'workers' | 'workerClass' | 'threads' | 'command' | 'python' | 'pythonServer' | 'workerConnections' | 'maxRequests' | 'maxRequestsJitter' | 'timeout' | 'hangStack' | 'gracefulTimeout'>>> | undefined;
  /** Certificate chain for https:// binds, PEM or PKCS#12. In PEM the leaf comes first, then the intermediate certificates. A changed file is picked up by itself. See [TLS](tls.md); several certificates go into `tls`. Default: `none`. */
  readonly certfile?: string | null | undefined;
  /** Key of certfile, if it is not in the same file. Only the arbiter reads it: when it is started by root, the file may be for root alone, whoever the edges run as. Default: `none`. */
  readonly keyfile?: string | null | undefined;
  /** Passphrase of the key, better given by environment. What is on a command line, every user of the machine can read. Workers do not get it. Default: `none`. */
  readonly keyfilePassword?: string | null | undefined;
  /** Dev or dev:NAME,…: a certificate of a local CA, for development. `dev` is for localhost and the machine's name, `dev:shop.test,api.localhost` for these names too: see [TLS](tls.md#https-in-development). In a config file also a table with any number of certificates, from which the name that the client asks for chooses: `{ certificates: [{ cert: 'a.pem', key: 'a.key' }, …] }`. The first (`certfile` is before all of these) is the default. Default: `off`. */
  readonly tls?: TlsDev | TlsInput | null | undefined;
  /** CA certificates that clients' certificates must come from. Default: `none`. */
  readonly caCerts?: string | null | undefined;
  /** Certificates of clients: none, optional or required. Default: `none`. */
  readonly certReqs?: 'none' | 'optional' | 'required' | number | undefined;
  /** TLS ciphers, as OpenSSL writes them. Without it, those that offer forward secrecy and authenticated encryption (the ECDHE suites of Mozilla’s intermediate list). The server’s order counts. Default: `modern`. */
  readonly ciphers?: string | null | undefined;
  /** Oldest TLS version that is spoken: TLSv1.2 or TLSv1.3. Older ones are not to be had (RFC 8996). Default: `TLSv1.2`. */
  readonly tlsMinVersion?: 'TLSv1.2' | 'TLSv1.3' | number | undefined;
  /** For a name no certificate has: default (the first one) or refuse. `refuse` ends such handshakes with the alert unrecognized_name (RFC 6066). A client that names no host gets the default either way. Default: `default`. */
  readonly tlsUnknownName?: 'default' | 'refuse' | undefined;
  /** Time for the whole TLS handshake. Default: `10s`. */
  readonly tlsHandshakeTimeout?: number | string | undefined;
  /** Most TLS handshakes an edge has under way at a time. At the limit, one that has taken a quarter of its time makes room for a new one; else the new connection is closed. Default: `1024`. */
  readonly tlsHandshakesMax?: number | undefined;
  /** Staple OCSP responses (on unless --no-ocsp-stapling). For certificates that name an OCSP responder by http:// and have their issuer in the chain. See [TLS](tls.md#ocsp-stapling). Default: `on`. */
  readonly ocspStapling?: boolean | undefined;
  /** Redirect clients that come without TLS: off, 301 or 308. 308 keeps the method. ACME challenges and `/-/healthz` are answered without TLS, and so are requests over Unix sockets and those that a trusted proxy had by https. Default: `off`. */
  readonly redirectHttps?: 'off' | '301' | '308' | number | undefined;
  /** Port in redirects, if clients know another than we do. Behind a port mapping. Without an https:// bind, where a proxy does TLS, it is 443. Default: `that of the first https:// bind`. */
  readonly redirectHttpsPort?: number | null | undefined;
  /** Strict-Transport-Security for answers over https. A time such as `365d`, or `"max-age=31536000; includeSubDomains; preload"`. On every answer to a client that came by https, errors too, unless the app or a static mount sends one of its own. Browsers then refuse http and invalid certificates for that long: begin with a short time. Default: `none`. */
  readonly hsts?: number | string | null | undefined;
  /** Offer HTTP/2 to TLS clients (on unless --no-http2). Default: `on`. */
  readonly http2?: boolean | undefined;
  /** Speak HTTP/2 without TLS with clients that begin so. Default: `off`. */
  readonly h2c?: boolean | undefined;
  /** Most requests of an HTTP/2 connection at a time. Default: `128`. */
  readonly http2MaxConcurrentStreams?: number | undefined;
  /** Get and renew a certificate for HOST; repeatable. From Let’s Encrypt, unless `acmeDirectory` names another CA, whose terms of service you agree to by setting this. One certificate for each name. Without `bind`, Portico then listens on `0.0.0.0:80` and `https://0.0.0.0:443`. See [ACME](acme.md). Default: `none`. */
  readonly acme?: string | readonly string[] | undefined;
  /** Where the CA may write to. Default: `none`. */
  readonly acmeEmail?: string | null | undefined;
  /** URL of the directory of another CA. Default: `Let’s Encrypt`. */
  readonly acmeDirectory?: string | null | undefined;
  /** Use Let’s Encrypt’s staging service, to try things out. Its limits are high and nobody trusts its certificates. They are kept apart from real ones. Default: `off`. */
  readonly acmeStaging?: boolean | undefined;
  /** Directory of the account, keys and certificates. Machines that serve the same names share it (NFS will do): one gets the certificate, all serve it. Without it: `acme` in `$STATE_DIRECTORY` (systemd), in `/var/lib/portico` for root, in `$XDG_STATE_HOME/portico` or in `~/.local/state/portico`. Made with mode 0700 for the user that edges run as. Default: `chosen`. */
  readonly acmeStorage?: string | null | undefined;
  /** How to prove that a name is yours. For `http-01` the CA must reach a plain bind by port 80 of the name, for `tls-alpn-01` an `https://` bind by port 443. When one fails the other is tried. Default: `http-01,tls-alpn-01`. */
  readonly acmeChallenges?: 'http-01' | 'tls-alpn-01' | readonly ('http-01' | 'tls-alpn-01')[] | undefined;
  /** Kind of certificate, where the CA has several. Let’s Encrypt has `classic`, `tlsserver` and `shortlived`. Default: `none`. */
  readonly acmeProfile?: string | null | undefined;
  /** Key identifier of your account at the CA, if it wants one. External account binding (RFC 8555 section 7.3.4): ZeroSSL, Google Trust Services, Sectigo and others show both in your account there. Default: `none`. */
  readonly acmeEabKid?: string | null | undefined;
  /** HMAC key to acmeEabKid, better given by environment. Only used to open the account, once. Default: `none`. */
  readonly acmeEabHmacKey?: string | null | undefined;
  /** Root certificates to trust the CA’s server by. Beside the usual ones, for a CA of your own such as step-ca, or for Pebble. Default: `none`. */
  readonly acmeCaFile?: string | null | undefined;
  /** Worker processes; auto: by the CPUs that may be used. `auto` counts the CPUs that the container may use (its cgroup limit, rounded down, and the CPU affinity), at least 1: one worker each for `async`, 2 × CPUs + 1 for `sync` and for `wsgi` without threads, and for `threads` as many as give a thread to each CPU. `WEB_CONCURRENCY` is read too. Default: `auto`. */
  readonly workers?: number | 'auto' | undefined;
  /** Async, sync (one request at a time), threads, http, wsgi, asgi or command. `async` suits almost every Node app. `sync` gives a worker one request at a time, its content read in full before. `threads` runs the app in several threads of one process. Gunicorn's `gthread` is `threads`; `gevent`, `eventlet` and `tornado` are `async`. With `threads` above 1, `sync` (or no class) becomes `threads`. `http` serves a Node app over plain HTTP/1.1, for one that takes `req.socket` apart. `wsgi` and `asgi` run a Python app under a Python server in each slot, `command` any program that serves HTTP: see [Python](python.md) and [Programs](programs.md). Default: `async`. */
  readonly workerClass?: 'async' | 'sync' | 'threads' | 'http' | 'wsgi' | 'asgi' | 'command' | undefined;
  /** Threads of each worker, each with the app. For `wsgi` those of the Python server: as many requests a worker takes at a time. Default: `1`. */
  readonly threads?: number | undefined;
  /** Edge processes, which take the connections. One edge keeps many workers busy; see in `portico status` and in top whether it is what is short. Default: `1`. */
  readonly edges?: number | undefined;
  /** Most requests a worker works on at a time. Always 1 for `sync`, and as many as `threads` for `wsgi`. Further requests wait at the edge, see `queueSize`. Default: `1000`. */
  readonly workerConnections?: number | undefined;
  /** How Linux schedules workers: batch or normal. `batch` (SCHED_BATCH, sched(7)): a worker that wakes does not push aside what runs, the edge above all. It has as much time as before, and a request costs a tenth less of it. Takes `chrt`, which Linux systems have; without it, and elsewhere, workers are `normal`. What a worker starts is scheduled in the same way. Default: `batch`. */
  readonly workerScheduling?: 'batch' | 'normal' | undefined;
  /** Read, write and send files past Node’s streams. On Linux, where Portico was built with a C compiler at hand: all requests that have come are read in one go, answers go to the kernel by one system call, and files without a copy (`sendfile`). A request costs a tenth to a quarter less CPU time. Elsewhere, over TLS and for what does not leave at once, Node’s streams do it. Default: `on`. */
  readonly nativeIo?: boolean | undefined;
  /** Replace a worker after so many requests; 0: never. Against slow memory leaks. The replacement is ready before the old worker is drained. Default: `0`. */
  readonly maxRequests?: number | undefined;
  /** Add a random number up to this to maxRequests. Another one for each worker, so that they are not replaced all at once. Default: `0`. */
  readonly maxRequestsJitter?: number | undefined;
  /** Kill a worker whose event loop stands still; 0: never. It is the worker that is watched, not the request: a request that waits for a database may take longer, see `responseTimeout`. A program of class `wsgi`, `asgi` or `command` has no event loop that Portico could watch: there it is the time for which its socket takes no connection; Gunicorn is told it as its own. Default: `30s`. */
  readonly timeout?: number | string | undefined;
  /** Log where in its code a worker hangs, before timeout kills it. A thread beside the event loop looks whether it turns, and after half of `timeout` reads its stack. It costs 6 to 11 MB a worker and no time; `--no-hang-stack` does without. Code that is stuck in a native call has no stack to show, nor has worker class `threads`. Default: `on`. */
  readonly hangStack?: boolean | undefined;
  /** Time to finish open requests on stop and on reload. Default: `30s`. */
  readonly gracefulTimeout?: number | string | undefined;
  /** Run edge and workers as this user (needs root). Default: `as started`. */
  readonly user?: string | number | null | undefined;
  /** Run edge and workers as this group (needs root). Default: `as started`. */
  readonly group?: string | number | null | undefined;
  /** File mode creation mask, octal. Default: `0`. */
  readonly umask?: number | string | undefined;
  /** File to write the arbiter's process id to. Default: `none`. */
  readonly pid?: string | null | undefined;
  /** Directory of Portico's own sockets. Of those between the processes and of the control socket. Made if need be, with mode 0700. Without it one is chosen: under `XDG_RUNTIME_DIR` or `/run`, else under the directory for temporary files. A Unix socket path is limited to 107 bytes (macOS: 103): keep it short. Default: `chosen`. */
  readonly runtimeDir?: string | null | undefined;
  /** The program of worker class command. On the command line it stands at the end: `portico -k command -- CMD … {socket}`. `{socket}` is the path of the Unix socket it is to listen on. A command without it is given a port of 127.0.0.1 instead, in the variable `PORT` and wherever it says `$PORT` or `{port}`. No shell is involved. Default: `none`. */
  readonly command?: string | readonly string[] | null | undefined;
  /** Python of worker classes wsgi and asgi, or its virtual environment. Without it: that of `VIRTUAL_ENV`, of `.venv` and of `venv` in `chdir`, and `python3` in `PATH`, in this order. Default: `found`. */
  readonly python?: string | null | undefined;
  /** Python server of worker classes wsgi and asgi. `auto` takes the first that this Python has: gunicorn, waitress, uwsgi for `wsgi`; uvicorn, hypercorn, granian for `asgi`. Default: `auto`. */
  readonly pythonServer?: 'auto' | 'gunicorn' | 'waitress' | 'uwsgi' | 'uvicorn' | 'hypercorn' | 'granian' | undefined;
  /** How long an idle connection is kept; 0: not at all. Behind a load balancer, make it longer than the idle timeout of that: `75s`. Default: `2s`. */
  readonly keepAlive?: number | string | undefined;
  /** Time for the whole request head (else 408). Default: `30s`. */
  readonly headerTimeout?: number | string | undefined;
  /** Longest pause in request content (else 408). Default: `1m`. */
  readonly bodyTimeout?: number | string | undefined;
  /** Longest pause in which a client takes no response. Default: `1m`. */
  readonly sendTimeout?: number | string | undefined;
  /** Longest request line (else 414). Gunicorn's 0 (no limit) is not to be had: every buffer has one. Default: `4094`. */
  readonly limitRequestLine?: number | string | undefined;
  /** Most header fields of a request (else 431). Default: `100`. */
  readonly limitRequestFields?: number | undefined;
  /** Longest header field, name and value (else 431). Default: `8190`. */
  readonly limitRequestFieldSize?: number | string | undefined;
  /** Largest request content (else 413); 0: no limit. Content is streamed to `async` workers as it comes, so large uploads cost no memory; for `sync` workers it is read in full first, to a temporary file when it is large, and then the limit is also one on disk space. nginx's 1 MB surprises everyone once; this is a net against mistakes and abuse, so set it to what the app expects. Default: `1g`. */
  readonly limitRequestBody?: number | string | undefined;
  /** Accept lines that end in LF without CR, as nginx does. RFC 9112 section 2.2 permits it. There is no second parser behind the edge that could read the request otherwise. Default: `off`. */
  readonly permitBareLf?: boolean | undefined;
  /** Whose X-Forwarded-* to believe. IP addresses, CIDR blocks, `unix` and `*`, with commas between. From everyone else these fields are thrown away and set anew. `unix` is whoever connects over a Unix socket. `*` believes everybody: only where nothing but a proxy can connect. Default: `127.0.0.1,::1`. */
  readonly forwardedAllowIps?: string | readonly string[] | undefined;
  /** Load balancers tell by PROXY protocol who the client is. Versions 1 and 2, before TLS or HTTP, from the addresses in `proxyAllowFrom`, which then must begin with it (within `headerTimeout`); everyone else must not. See [load balancers](load-balancers.md). Default: `off`. */
  readonly proxyProtocol?: boolean | undefined;
  /** Load balancers that speak the PROXY protocol. As in `forwardedAllowIps`. A connection of theirs counts as the client’s own: what it says in `X-Forwarded-*` is believed only if the client’s address is in `forwardedAllowIps`. Default: `127.0.0.1,::1`. */
  readonly proxyAllowFrom?: string | readonly string[] | undefined;
  /** Also send the app Forwarded (RFC 7239). Default: `off`. */
  readonly forwarded?: boolean | undefined;
  /** Most requests that wait for a worker (else 503). At each edge. Default: `1024`. */
  readonly queueSize?: number | undefined;
  /** Longest wait for a worker (else 503). Default: `30s`. */
  readonly queueTimeout?: number | string | undefined;
  /** Longest wait for a response to begin (else 504). 0 is no limit. Once begun, a response may take any time. Default: `1m`. */
  readonly responseTimeout?: number | string | undefined;
  /** Answer /-/healthz and /-/readyz at the edge. `/-/healthz` says that the edge lives, `/-/readyz` that requests to the app will be answered. The app's own `/health` passes through. See [health.md](health.md). Default: `on`. */
  readonly healthEndpoints?: boolean | undefined;
  /** Workers that must be ready for /-/readyz. With fewer, and once a stop has begun, `/-/readyz` answers 503. Default: `1`. */
  readonly readyWorkers?: number | undefined;
  /** Requests of a client to the same worker: auto, off, ip, cookie. `auto`: those of Socket.IO, which keeps its sessions in a worker's memory, by the client's address; all others go to any. `ip` and `cookie`: all requests to apps and upstreams, by address or by a cookie (`portico_worker`, and `portico_worker_NAME` for any app but the first). See [websockets.md](websockets.md). Default: `auto`. */
  readonly sticky?: 'auto' | 'off' | 'ip' | 'cookie' | undefined;
  /** Most WebSockets and other upgrades open (else 503). At each edge. Each takes two file descriptors there and one in the worker. 0 takes none. See [websockets.md](websockets.md). Default: `10000`. */
  readonly upgradeConnections?: number | undefined;
  /** Longest silence on an upgraded connection; 0: any. Both ways together: a ping by either side is enough. Default: `1h`. */
  readonly upgradeIdleTimeout?: number | string | undefined;
  /** What upgraded connections get when their worker leaves. On stop and on reload. Then WebSocket clients are sent a Close with status 1001, others the end of the connection, and connect anew to another worker. At most `gracefulTimeout`. Default: `5s`. */
  readonly upgradeGrace?: number | string | undefined;
  /** Which requests go elsewhere than to the app, such as /api=http://api:8000; repeatable. The first route that takes a request has it; what none takes goes on to static files and the app. On the command line a route is `[HOST]/PATH=TARGET` with a target that is text; in a config file it says more. See [routes](routes.md). Default: `none`. */
  readonly routes?: string | readonly (string | RouteInput)[] | undefined;
  /** Serve the files of DIR under the prefix; repeatable. In a config file also a map, `{ '/static': 'public' }`, or a list with more to say, `[{ prefix: '/', dir: 'dist', fallback: 'index.html' }]`. The longest prefix that fits is taken. Default: `none`. */
  readonly static?: string | readonly (string | StaticMountInput)[] | Readonly<Record<string, string | Omit<StaticMountInput, 'prefix'>>> | undefined;
  /** Memory of each edge for hot static files; 0: none. What was asked for twice is kept, larger files in parts; no file takes more than a quarter. See [static files](static-files.md). Default: `64m`. */
  readonly staticCacheBytes?: number | string | undefined;
  /** Where keepBuilds keeps the files of earlier builds. Without it: `$STATE_DIRECTORY` (systemd), `/var/lib/portico` for root, `$XDG_STATE_HOME/portico` or `~/.local/state/portico`. The edge makes it with mode 0700, as the user it runs as; on the file system of the mount, files are linked and take no space. See [deploys](deploys.md). Default: `chosen`. */
  readonly staticStore?: string | null | undefined;
  /** Keep the app's responses in so much memory. Those that their `Cache-Control` or `Expires` allows a shared cache to keep, at each edge; `on` is 64m. See [cache](cache.md). Default: `off`. */
  readonly cache?: number | string | boolean | undefined;
  /** Largest response content that is kept. At most half of `cache`. Larger responses pass through. Default: `1m`. */
  readonly cacheEntry?: number | string | undefined;
  /** Keep responses so long that do not say how long; 0: not. Only for requests without Cookie and Authorization. `1s` is a micro-cache. Default: `0`. */
  readonly cacheDefaultTtl?: number | string | undefined;
  /** Longest wait for another request's response. Requests for what is being fetched wait for it, at most `queueSize` of them at each edge. Then they ask the app themselves. Default: `5s`. */
  readonly cacheWait?: number | string | undefined;
  /** Keep responses with Set-Cookie too, without the cookies. Only the client whose request reached the app gets them. For apps that set cookies on pages that are for all. Default: `off`. */
  readonly cacheSetCookie?: boolean | undefined;
  /** Compress the app's responses for clients that accept it. What is compressed, and what is left alone, is in [compression.md](compression.md). Default: `on`. */
  readonly compress?: boolean | undefined;
  /** Smallest content that is compressed, where its length is known. Default: `1k`. */
  readonly compressMin?: number | string | undefined;
  /** Encodings in use; of those a client likes equally, the first. zstd needs Node 22.15 or newer and is passed over elsewhere. Default: `zstd,gzip,br`. */
  readonly compressEncodings?: 'zstd' | 'gzip' | 'br' | readonly ('zstd' | 'gzip' | 'br')[] | undefined;
  /** Media types to compress beside text, JSON, XML, SVG, wasm and the like. Default: `none`. */
  readonly compressTypes?: string | readonly string[] | undefined;
  /** Most responses compressed in pieces at a time; others pass as they are. At each edge; each takes up to 0.4 MB. Content of up to 32 KB that is whole at hand does not count. Default: `128`. */
  readonly compressStreams?: number | undefined;
  /** Most bytes of random padding against BREACH; 0: none. gzip alone is used then. What this is worth is in [compression.md](compression.md#breach). Default: `0`. */
  readonly compressPadding?: number | string | undefined;
  /** HTML page for an error status; repeatable. In a config file a map: `{ 404: '404.html', '5xx': 'sorry.html' }`. `{{status}}` and `{{requestId}}` in a page are replaced. Pages are read at start and at reload. See [error pages](error-pages.md). Default: `none`. */
  readonly errorPages?: string | readonly string[] | Readonly<Record<string | number, string>> | undefined;
  /** Put errorPages in place of the app's own errors too. Only for statuses that `errorPages` names. What the app sent as content is thrown away. Default: `off`. */
  readonly interceptErrors?: boolean | undefined;
  /** Trace, debug, info, warning, error or critical. Default: `info`. */
  readonly logLevel?: 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'critical' | undefined;
  /** Event log as text or json. `text` is as Gunicorn writes it; `json` has one object a line. Default: `text`. */
  readonly logFormat?: 'text' | 'json' | undefined;
  /** File of the event log; -: stderr. Opened anew at USR1, for log rotation. Default: `-`. */
  readonly errorLogfile?: string | undefined;
  /** File of the access log; -: stdout; off. Opened anew at USR1, for log rotation. Default: `off`. */
  readonly accessLogfile?: string | null | undefined;
  /** Combined, json, or Gunicorn's atoms such as %(h)s. Default: `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`. */
  readonly accessLogformat?: string | undefined;
}

/** A directory of static files and how it is served. */
export interface StaticMountInput {
  /** Starts with "/"; matches whole path segments. */
  readonly prefix: string;
  /** Relative to `chdir`. */
  readonly dir: string;
  /** Files that stand for their directory, the first that is there; `[]` for none. Default: `index.html`. */
  readonly index?: string | readonly string[] | undefined;
  /** File that answers navigation to unknown paths (the page of a single-page app); a missing asset stays a 404. Default: `none`. */
  readonly fallback?: string | null | undefined;
  /** What is no file here is the app’s, as with `try_files $uri @app`. Default: `off`. */
  readonly tryFiles?: boolean | undefined;
  /** Sends `Cache-Control: public, max-age=…`; 0 makes caches ask each time; `null` sends none. Default: `none`. */
  readonly maxAge?: number | string | null | undefined;
  /** Whose `Cache-Control` is `public, max-age=31536000, immutable`: files with a hash in their name (`auto`), all, or none. Default: `auto`. */
  readonly immutable?: boolean | 'auto' | 'always' | 'never' | undefined;
  /** More fields for what is served from here; a `Cache-Control` among them is the only one. Default: `none`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Names that begin with a dot: a 404, or files as any; `/.well-known/` is always served (RFC 8615). Default: `refuse`. */
  readonly dotfiles?: 'refuse' | 'allow' | undefined;
  /** A page that lists a directory which has no index. Default: `off`. */
  readonly listing?: boolean | undefined;
  /** Only the app can have these files sent, by X-Accel-Redirect or X-Sendfile; to clients they are not there. Default: `off`. */
  readonly internal?: boolean | undefined;
  /** How many earlier builds keep their hashed assets available after a deploy. Default: `0`. */
  readonly keepBuilds?: number | undefined;
}

/** Which requests it takes, and what becomes of them. */
export interface RouteInput {
  /** Stands for the route in logs and status; made of host and path without it. */
  readonly name?: string | undefined;
  /** Hosts it is for: `example.com`, or `*.example.com` for all names below that. */
  readonly host?: string | readonly string[] | undefined;
  /** Paths it is for: `/api` and all below, `=/api` alone, patterns such as `/users/:id`, `/img/*.png` and `/files/*`. */
  readonly path?: string | readonly string[] | undefined;
  /** Methods it is for; GET stands for HEAD too. */
  readonly methods?: string | readonly string[] | undefined;
  /** Headers a request must have: a value (where `*` stands for anything) or several, `true` (there) or `false` (not there). */
  readonly headers?: Readonly<Record<string, boolean | string | readonly string[]>> | undefined;
  /** `"app"`, one of several [apps](apps.md#several-apps) by its name (`"api"` or `"app:api"`), an HTTP upstream (`"http://api:8000"`, a list of such, or `{ targets, … }`), `{ redirect, status }` or `{ respond, body, headers }`. */
  readonly to: RouteTargetInput;
  /** What the path loses at its beginning before the request goes on, in whole segments; `true` is what `path` says. `X-Forwarded-Prefix` tells what it was. */
  readonly strip?: boolean | string | undefined;
  /** The path to go on with, such as `/v2/{id}` with `path: "/users/:id"`; the query stays, unless there is one in it. */
  readonly rewrite?: string | undefined;
  /** What the app or upstream is told otherwise: `{ set, add, remove, default }`. */
  readonly requestHeaders?: HeaderRulesInput | undefined;
  /** The same for answers, those of the edge too; `default` is for what has no such header. */
  readonly responseHeaders?: HeaderRulesInput | undefined;
  /** Headers that keep browsers careful, where the app sends none of its own; `{ "X-Frame-Options": false }` leaves one out, others are added. */
  readonly security?: boolean | Readonly<Record<string, string | false>> | undefined;
  /** Addresses and CIDR blocks that are let in; all others get a 403. */
  readonly allow?: string | readonly string[] | undefined;
  /** Those that are not; it wins over `allow`. */
  readonly deny?: string | readonly string[] | undefined;
  /** Which pages of other origins may ask: preflights are answered by the edge; `true` is all, without credentials. */
  readonly cors?: boolean | CorsInput | undefined;
  /** Who may come in with which password, by Basic authentication: `{ users: { alice: "$2y$…" } }` or `{ file: ".htpasswd" }`, with hashes of bcrypt or Argon2. */
  readonly auth?: AuthInput | undefined;
}

/** What becomes of header fields, in this order. */
export interface HeaderRulesInput {
  readonly remove?: string | readonly string[] | undefined;
  /** In place of those with the same name. */
  readonly set?: Readonly<Record<string, string>> | undefined;
  readonly add?: Readonly<Record<string, string>> | undefined;
  /** Where there is none with the name. */
  readonly default?: Readonly<Record<string, string>> | undefined;
}

/** Who may come in with which password. */
export interface AuthInput {
  /** Hashes of bcrypt or Argon2 by name. */
  readonly users?: Readonly<Record<string, string>> | undefined;
  /** As htpasswd -B writes it; relative to `chdir`. */
  readonly file?: string | undefined;
  /** What the client is told that it is for. Default: `Restricted`. */
  readonly realm?: string | undefined;
}

/** Which pages of other origins may ask. */
export interface CorsInput {
  /** Such as `https://example.com` and `https://*.example.com`. Default: `*`. */
  readonly origins?: string | readonly string[] | undefined;
  /** Default: those of the route, or all usual ones. */
  readonly methods?: string | readonly string[] | undefined;
  /** That a page may send. Default: `*`, any. */
  readonly headers?: string | readonly string[] | undefined;
  /** That a page may read. Default: the usual ones. */
  readonly expose?: string | readonly string[] | undefined;
  /** Cookies are sent along. Default: `false`. */
  readonly credentials?: boolean | undefined;
  /** How long browsers remember the answer to a preflight. Default: `10m`. */
  readonly maxAge?: number | string | undefined;
}

/** Where a request goes: to the app, elsewhere, or no further than here. */
export type RouteTargetInput =
  | 'app'
  | (string & {})
  | readonly UpstreamTargetInput[]
  | UpstreamInput
  | { readonly redirect: string; readonly status?: 301 | 302 | 303 | 307 | 308 | undefined }
  | { readonly respond: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> | undefined };

/** `http://api:8000`, `https://HOST`, `unix:/run/x.sock`, with its share of the requests. */
export type UpstreamTargetInput = string | { readonly url: string; readonly weight?: number | undefined };

/** An HTTP upstream, and how it is asked. */
export interface UpstreamInput {
  readonly targets: string | readonly UpstreamTargetInput[];
  /** Longest wait for a connection, TLS included; then another member is tried. Default: `5s`. */
  readonly connectTimeout?: number | string | undefined;
  /** Longest wait for a response to begin (else 504); 0 for no limit. Default: `1m`. */
  readonly firstByteTimeout?: number | string | undefined;
  /** Longest silence within a response, which is then cut; 0 for no limit. Default: `5m`. */
  readonly idleTimeout?: number | string | undefined;
  /** How long a connection without request is kept: less than the upstream keeps it (Node and uvicorn 5 s). Default: `4s`. */
  readonly keepAlive?: number | string | undefined;
  /** Connections to each address at a time; requests beyond wait. Default: `256`. */
  readonly maxConnections?: number | undefined;
  /** Connections without request that are kept to each address. Default: `64`. */
  readonly idleConnections?: number | undefined;
  /** Most requests that wait for a connection (else 503). Default: `1024`. */
  readonly queueSize?: number | undefined;
  /** Longest wait for a connection (else 503). Default: `30s`. */
  readonly queueTimeout?: number | string | undefined;
  /** Path that is asked for at each address: who does not answer with 200 to 399 gets no requests. Default: `none`. */
  readonly healthCheck?: string | { path?: string; interval?: number | string; timeout?: number | string; failures?: number; successes?: number } | null | undefined;
  /** Requests that fail within `failTimeout` before the address gets none for as long; 0 for never. Default: `3`. */
  readonly maxFailures?: number | undefined;
  /** See `maxFailures`; after it one request is let through, and decides. Default: `10s`. */
  readonly failTimeout?: number | string | undefined;
  /** An address that comes, or comes back, gets more and more until its full share after so long. Default: `0`. */
  readonly slowStart?: number | string | undefined;
  /** Names are looked up again after so long, or sooner if their TTL is shorter. Default: `10s`. */
  readonly resolve?: number | string | undefined;
  /** Tells who the client is by PROXY protocol, version 1 or 2; each request has a connection of its own then. Default: `none`. */
  readonly proxyProtocol?: 0 | 1 | 2 | boolean | undefined;
  /** Host for the upstream: the client's, the `target`'s own, or a name. Default: `client`. */
  readonly host?: string | undefined;
  /** How certificates of https upstreams are checked: `caFile`, `serverName`, `verify`. Default: `verified`. */
  readonly tls?: { caFile?: string | null; serverName?: string | null; verify?: boolean } | undefined;
}

/** A certificate of a local CA, for development: for localhost and the machine's name, "dev:a.test,b.test" for more. */
export type TlsDev = 'dev' | `dev:${string}`;

/** Certificates, from which the name that a client asks for chooses. */
export interface TlsInput {
  /** A certificate of a local CA, for development; a list names hosts beside the usual ones. Default: `false`. */
  readonly dev?: boolean | readonly string[] | undefined;
  readonly certificates?: readonly TlsCertificateInput[] | undefined;
}

/** A certificate and its key. Paths are relative to `chdir`. */
export interface TlsCertificateInput {
  /** PEM file with the chain, the leaf first, or a PKCS#12 file. */
  readonly cert: string;
  /** PEM file with the key, if it is not in `cert`. */
  readonly key?: string | undefined;
  /** Of the key or of the PKCS#12 file. */
  readonly passphrase?: string | undefined;
  /** Names to serve it for, such as `example.com` and `*.example.com`, in place of those in the certificate. */
  readonly hosts?: string | readonly string[] | undefined;
}
