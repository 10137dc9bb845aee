// The settings file that Gunicorn is started with: the app's own, a worker class that keeps connections, and a word
// when the app is loaded.

import { readOwnFile } from '../../executable/own-file.ts';

/** The user's own hooks and settings stay in force, a worker class too. */
export function gunicornSettings({
  readyFile,
  keptFile,
}: {
  readonly readyFile: string;
  readonly keptFile: string;
}): string {
  const worker =
    readOwnFile('static/gunicorn_worker.py') ?? 'def worker_class_name(): return "sync"';
  // JSON of ASCII is a string of Python too.
  return `# Made by Portico: the gunicorn.conf.py of the app, the worker class, and a word when the app is loaded.
import os
if os.path.exists("gunicorn.conf.py"):
    with open("gunicorn.conf.py") as own:
        exec(compile(own.read(), "gunicorn.conf.py", "exec"))
def _portico_worker():
    import sys, types
    module = types.ModuleType("portico_gunicorn")
    sys.modules[module.__name__] = module
    exec(compile(${JSON.stringify(worker)}, "gunicorn_worker.py", "exec"), module.__dict__)
    return module.worker_class_name()
if "worker_class" not in globals():
    worker_class = _portico_worker()
# Gunicorn listens before its worker has loaded the app.
_before = globals().get("post_worker_init", lambda worker: None)
def post_worker_init(worker):
    _before(worker)
    if type(worker).__module__ == "portico_gunicorn":
        open(${JSON.stringify(keptFile)}, "w").close()
    open(${JSON.stringify(readyFile)}, "w").close()
`;
}
