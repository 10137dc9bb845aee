#!/usr/bin/env node
// The program. PORTICO_ROLE says which of its processes this is; unset, it is the command line.
//
// Nothing is imported before the role is known: the arbiter's process must never hold edge, worker
// or app code, and `portico --version` need not wait for any of it.

async function run(role: string): Promise<void> {
  const { isForked, runForked } = await import('./executable/forked.ts');
  const { nodeVersionFault } = await import('./cli/node-version.ts');
  const fault = nodeVersionFault(process.versions.node);
  if (fault !== null) {
    process.stderr.write(`portico: ${fault}\n`);
    process.exit(1);
  }
  if (role === 'edge') {
    // Runs on import, as the next one does.
    await import('./edge/main.ts');
  } else if (role === 'worker') {
    await import('./worker/main.ts');
  } else if (role === 'config') {
    const { printConfigForArbiter } = await import('./cli/config-role.ts');
    await printConfigForArbiter();
  } else if (role === 'remove') {
    const { removeTrees } = await import('./arbiter/remove-trees.ts');
    removeTrees(process.argv.slice(2));
  } else if (role === '' && isForked()) {
    await runForked();
  } else if (role === '') {
    const { runCommandLine } = await import('./cli/command-line.ts');
    process.exitCode = await runCommandLine(process.argv.slice(2));
  } else {
    process.stderr.write('portico: PORTICO_ROLE is for its own processes; unset it\n');
    process.exitCode = 1;
  }
}

// Not awaited here: in a single executable all is one CommonJS file.
void run(process.env.PORTICO_ROLE ?? '');

export {};
