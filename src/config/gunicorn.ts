// What people who come from Gunicorn type that Portico spells otherwise or does without.

/** Config keys of Gunicorn, without "_", and the keys that took their place. */
export const formerKeys: Readonly<Record<string, string>> = {
  accesslog: 'accessLogfile',
  accesslogformat: 'accessLogformat',
  errorlog: 'errorLogfile',
  pidfile: 'pid',
  preloadapp: 'preload',
  rawenv: 'env',
  wsgiapp: 'app',
  module: 'app',
};

/** Flags of Gunicorn that mean nothing here: whether a value follows, and what to do instead. */
export const foreignFlags: ReadonlyMap<string, { takesValue: boolean; instead: string }> = new Map(
  Object.entries({
    '-D': without('it stays in the foreground: let systemd or a container keep it running'),
    '--daemon': without('it stays in the foreground: let systemd or a container keep it running'),
    '-R': without('the standard input and output of the workers are always inherited'),
    '--enable-stdio-inheritance': without(
      'the standard input and output of the workers are always inherited',
    ),
    '--capture-output': without('the output of the app goes to stdout and stderr as it is'),
    '--worker-tmp-dir': withValue('heartbeats need no files'),
    '-n': withValue('processes are named by their role'),
    '--name': withValue('processes are named by their role'),
    '--pythonpath': withValue('set PYTHONPATH with --env'),
    '--paste': withValue('name the app as MODULE:EXPORT'),
    '--reload-engine': withValue('--reload takes what the system has'),
    '--reload-extra-file': withValue('--reload watches what the app loads'),
    '--spew': without('use NODE_DEBUG'),
    '--no-sendfile': without('static files are served without sendfile'),
    '--sendfile': without('static files are served without sendfile'),
    '--reuse-port': without('one socket is shared by all edges'),
    '--initgroups': without('give the groups to the service manager'),
    '--logger-class': withValue('use --log-format json'),
    '--log-config': withValue('use --log-level, --log-format and --error-logfile'),
    '--log-config-json': withValue('use --log-level, --log-format and --error-logfile'),
    '--log-syslog': without('log to stdout and let the service manager pass it on'),
    '--log-syslog-to': withValue('log to stdout and let the service manager pass it on'),
    '--log-syslog-prefix': withValue('log to stdout and let the service manager pass it on'),
    '--log-syslog-facility': withValue('log to stdout and let the service manager pass it on'),
    '--do-handshake-on-connect': without('TLS handshakes never block the edge'),
    '--suppress-ragged-eofs': without('there is nothing to suppress'),
    '--ssl-version': withValue('use --tls-min-version'),
    '--permit-obsolete-folding': without('folded fields are refused (RFC 9112 section 5.2)'),
    '--strip-header-spaces': without('a space before the colon is refused (RFC 9112 section 5.1)'),
  }),
);

function without(instead: string) {
  return { takesValue: false, instead };
}

function withValue(instead: string) {
  return { takesValue: true, instead };
}
