// Keeps what a config file prints out of what a command prints.

/** From now on process.stdout writes to stderr; returned is the way to the real stdout. */
export function divertStdout(): (text: string) => Promise<void> {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  // Resolved when written: a process.exit() before would cut what a slow pipe has not taken yet.
  return (text) => new Promise((done) => write(text, () => done()));
}
